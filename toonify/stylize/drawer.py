"""Draws what a batch has gathered; one that is too large, or fails, is halved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

from toonify.engines.base import Drawing, Engine
from toonify.errors import InputError, ModelError, UsageError
from toonify.faces import Alignment
from toonify.stylize.photo import Unit, Whole
from toonify.tuning import sharing_cores
from toonify.utils.memory import is_shortage

Row = Sequence[Drawing]  # a unit's drawings, one a name
LARGE = 4_000_000  # px from which whole pictures are drawn at once and in turn, for memory's sake


class Drawer:
    """Draws units by one engine.

    Args:
        engine: draws.
        together: regions that go through its networks at once; fewer, once they didn't fit into
            memory.
        aligned: units are FFHQ crops, and drawn as such.
        more: makes further such engines, so that whole pictures are drawn side by side; None
            draws them in turn.
        at_once: how many are.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        together: int,
        aligned: bool = False,
        more: Callable[[], Engine] | None = None,
        at_once: int = 1,
    ) -> None:
        self.engine, self.together, self._aligned = engine, together, aligned
        self._more, self._at_once, self._engines = more, at_once, [engine]

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
        pictures = [unit for unit in units if isinstance(unit, Whole)]
        small = not any(map(is_large, pictures))
        if self._more is not None and small and len(pictures) > 1:
            return self._side_by_side(pictures, characters, self._more)
        return [
            self.engine.draw_image(picture.image, characters, faces=picture.faces)
            for picture in pictures
        ]

    def _side_by_side(
        self, pictures: list[Whole], characters: tuple[str, ...], more: Callable[[], Engine]
    ) -> list[list[Drawing]]:
        """Several pictures at a time, each by an engine of its own."""
        count = min(self._at_once, len(pictures))
        while len(self._engines) < count:
            self._engines.append(more())
        free: SimpleQueue[Engine] = SimpleQueue()
        for engine in self._engines[:count]:
            free.put(engine)

        def draw(picture: Whole) -> list[Drawing]:
            engine = free.get()
            try:
                return engine.draw_image(picture.image, characters, faces=picture.faces)
            finally:
                free.put(engine)

        workers = ThreadPoolExecutor(count, thread_name_prefix="draw")
        with sharing_cores(count), workers as pool:
            return list(pool.map(draw, pictures))


def is_large(unit: Unit) -> bool:
    """Whether a unit is a whole picture of many pixels, which no others should wait with."""
    return isinstance(unit, Whole) and unit.image.shape[0] * unit.image.shape[1] >= LARGE


def _short_of_memory(error: Exception) -> Exception:
    """The error as a line that helps, if memory was short."""
    if not is_shortage(error):
        return error
    return InputError(
        "out of memory while drawing it",
        hint="Close other programs, take `batch_size` 1, or another `device`.",
    )
