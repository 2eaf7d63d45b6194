"""Who is drawn as which character."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from toonify.errors import UsageError
from toonify.names import unknown_name

SIDES = ("left", "middle", "right")


class CharacterAssignment:
    """Gives every person of a clip a character, for as long as the person is followed.

    Args:
        rules: "mina" (everybody), "mina,jun" (in the order in which people appear, from left to
            right, and around again), "left=mina,right=jun" (by place when they appear), or
            "1=mina,2=jun" (by number, as a preview and the report say them).
        known: the bundle's characters; its first one goes to people that no rule names.

    Raises:
        UsageError: unknown characters, or rules of both kinds.
    """

    def __init__(self, rules: Sequence[str], known: Sequence[str]) -> None:
        if not known:
            raise UsageError("the bundle has no characters", hint="Add some: toonify build-lut.")
        entries = [entry.strip() for rule in rules for entry in rule.split(",") if entry.strip()]
        self._named: dict[str, str] = {}
        self._order: list[str] = []
        for entry in entries:
            key, equals, name = entry.partition("=")
            if not equals:
                self._order.append(_known(key, known))
            elif key in SIDES or key.isdecimal():
                self._named[key] = _known(name, known)
            else:
                raise UsageError(
                    f"`character` {entry!r} names nobody",
                    hint=f"Use {', '.join(SIDES)} or a person's number before the =.",
                )
        if self._order and self._named:
            # "mina,left=jun": the nameless one is everybody else's
            if len(self._order) > 1:
                raise UsageError(
                    "`character` takes an order or places, not both",
                    hint="Name one character for everybody else.",
                )
        elif not self._order:
            self._order = [known[0]]
        self._cast: dict[int, str] = {}

    def __getitem__(self, person: int) -> str:
        return self._cast[person]

    def appear(self, places: Mapping[int, float]) -> None:
        """Cast who is new among `places`: each person's x, 0 left to 1 right."""
        order = sorted(places, key=lambda person: places[person])
        for person in order:
            if person not in self._cast:
                self._cast[person] = self._choose(person, places[person], order)

    def cast(self, across: Sequence[float]) -> list[str]:
        """The characters of one picture's people, who are numbered from left to right.

        Args:
            across: where each is, 0 left to 1 right, in any order.
        """
        order = sorted(range(len(across)), key=lambda at: across[at])
        self.appear({number: across[at] for number, at in enumerate(order, 1)})
        numbers = {at: number for number, at in enumerate(order, 1)}
        return [self[numbers[at]] for at in range(len(across))]

    def _choose(self, person: int, x: float, order: list[int]) -> str:
        if str(person) in self._named:
            return self._named[str(person)]
        if any(side in self._named for side in SIDES):
            if len(order) == 1:
                side = SIDES[min(int(x * 3), 2)]
                if side not in self._named:
                    side = "left" if x < 0.5 else "right"
            else:
                rank = order.index(person)
                side = "left" if rank == 0 else "right" if rank == len(order) - 1 else "middle"
            if side in self._named:
                return self._named[side]
        if self._named:
            return self._order[0]
        return self._order[len(self._cast) % len(self._order)]

    def state(self) -> dict[str, str]:
        """JSON-able."""
        return {str(person): name for person, name in self._cast.items()}

    def restore(self, state: Mapping[str, str]) -> None:
        """Go on from `state()`."""
        self._cast = {int(person): name for person, name in state.items()}


def _known(name: str, known: Sequence[str]) -> str:
    if name not in known:
        raise unknown_name("character", name, known)
    return name
