"""Draws what a batch has gathered; one that is too large, or fails, is halved."""

from __future__ import annotations

from collections.abc import Sequence

from toonify.engines.base import Drawing, Engine
from toonify.errors import InputError, ModelError, UsageError
from toonify.faces import Alignment
from toonify.stylize.photo import Unit, Whole
from toonify.utils.memory import is_shortage

Row = Sequence[Drawing]  # a unit's drawings, one a name


class Drawer:
    """Draws units by one engine.

    Args:
        engine: draws.
        together: regions that go through its networks at once; fewer, once they didn't fit into
            memory.
        aligned: units are FFHQ crops, and drawn as such.
    """

    def __init__(self, engine: Engine, *, together: int, aligned: bool = False) -> None:
        self.engine, self.together, self._aligned = engine, together, aligned

    def draw(
        self, units: Sequence[Unit], names: Sequence[tuple[str, ...]]
    ) -> list[Row | Exception]:
        """Drawings of each unit under its names, or why there are none."""
        drawn: dict[int, Row | Exception] = {}
        for characters in dict.fromkeys(names):
            mine = [at for at, wanted in enumerate(names) if wanted == characters]
            rows = self._alike([units[at] for at in mine], characters)
            drawn.update(zip(mine, rows, strict=True))
        return [drawn[at] for at in range(len(units))]

    def _alike(self, units: list[Unit], characters: tuple[str, ...]) -> list[Row | Exception]:
        """Units that are all drawn under the same names; a batch that fails is halved."""
        self.engine.batch_size = self.together
        try:
            return list(self._drawn(units, characters))
        except (UsageError, ModelError):
            raise
        except Exception as error:
            if len(units) == 1:
                return [_short_of_memory(error)]
            half = len(units) // 2
            if is_shortage(error):
                self.together = max(1, min(self.together, half))
            error.__traceback__ = None  # it would keep the failed batch's tensors
        return self._alike(units[:half], characters) + self._alike(units[half:], characters)

    def _drawn(self, units: list[Unit], characters: tuple[str, ...]) -> list[list[Drawing]]:
        regions = [unit for unit in units if isinstance(unit, Alignment)]
        if self._aligned:
            return self.engine.draw_aligned([region.image for region in regions], characters)
        if regions:
            return self.engine.draw_regions(regions, characters)
        return [
            self.engine.draw_image(unit.image, characters, faces=unit.faces)
            for unit in units
            if isinstance(unit, Whole)
        ]


def _short_of_memory(error: Exception) -> Exception:
    """The error as a line that helps, if memory was short."""
    if not is_shortage(error):
        return error
    return InputError(
        "out of memory while drawing it",
        hint="Close other programs, take `batch_size` 1, or another `device`.",
    )
