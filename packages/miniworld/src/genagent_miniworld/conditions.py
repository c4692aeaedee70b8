"""What a request asks for, as conditions that a picture meets or not.

A condition is also a hint in plain words ("exactly 3 red circles"), and is read back from those
words, so that a ``Request`` carries all a judge needs.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from genagent_miniworld.reading import Reading
from genagent_miniworld.scene import COLORS, PLACES, SHAPES, SIZES, Item, Scene

REGIONS = {
    "in the top row": (0, 1, 2),
    "in the middle row": (3, 4, 5),
    "in the bottom row": (6, 7, 8),
    "in the left column": (0, 3, 6),
    "in the middle column": (1, 4, 7),
    "in the right column": (2, 5, 8),
} | {f"at {name}": (place,) for place, name in enumerate(PLACES)}
RELATIONS = ("left of", "right of", "above", "below")


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Kind:
    """Items alike in what is named; None is whatever the painter likes.

    Example: ``Kind(color="red", shape="circle")``
    """

    shape: str | None = None
    color: str | None = None
    size: str | None = None

    def fits(self, item: Item) -> bool:
        return (
            self.shape in (None, item.shape)
            and self.color in (None, item.color)
            and self.size in (None, item.size)
        )

    def words(self, count: int = 1) -> str:
        parts = (self.size, self.color, (self.shape or "shape") + ("s" if count != 1 else ""))
        return " ".join(part for part in parts if part)


@dataclass(frozen=True, kw_only=True, slots=True)
class Count:
    """``exactly 3 red circles``, and with a region ``… in the top row``: each of them there."""

    kind: Kind
    number: int
    region: str | None = None

    def words(self) -> str:
        where = f" {self.region}" if self.region else ""
        return f"{self.number} {self.kind.words(self.number)}{where}"

    def hint(self) -> str:
        return f"exactly {self.words()}"

    def error(self, scene: Scene) -> int:
        fitting = [item for item in scene if self.kind.fits(item)]
        there = [i for i in fitting if not self.region or i.place in REGIONS[self.region]]
        return abs(self.number - len(there)) + len(fitting) - len(there)


@dataclass(frozen=True, kw_only=True, slots=True)
class Relation:
    """``red circle left of blue square``: every such first one of every such second one."""

    first: Kind
    relation: str
    second: Kind

    def words(self) -> str:
        return f"{self.first.words()} {self.relation} {self.second.words()}"

    hint = words

    def error(self, scene: Scene) -> int:
        firsts = [item for item in scene if self.first.fits(item)]
        seconds = [item for item in scene if self.second.fits(item)]
        held = firsts and seconds and all(self._holds(a, b) for a in firsts for b in seconds)
        return 0 if held else 1

    def _holds(self, a: Item, b: Item) -> bool:
        return {
            "left of": a.column < b.column,
            "right of": a.column > b.column,
            "above": a.row < b.row,
            "below": a.row > b.row,
        }[self.relation]


Condition = Count | Relation


@dataclass(frozen=True, kw_only=True, slots=True)
class Spec:
    """All conditions of a request; nothing else may be in the picture."""

    conditions: tuple[Condition, ...]

    @property
    def counts(self) -> tuple[Count, ...]:
        return tuple(c for c in self.conditions if isinstance(c, Count))

    @property
    def relations(self) -> tuple[Relation, ...]:
        return tuple(c for c in self.conditions if isinstance(c, Relation))

    @property
    def size(self) -> int:
        """Number of items in a picture that meets it."""
        return sum(count.number for count in self.counts)

    @property
    def names_sizes(self) -> bool:
        return any(count.kind.size for count in self.counts)

    def in_order(self, scene: Scene) -> Scene:
        """The scene's items in the order in which the conditions name their kinds."""
        kinds = [count.kind for count in self.counts]

        def named(item: Item) -> tuple[int, int]:
            first = next((i for i, kind in enumerate(kinds) if kind.fits(item)), len(kinds))
            return first, item.place

        return tuple(sorted(scene, key=named))

    def words(self) -> str:
        """The request in plain terms: ``"1 red circle, 1 blue square, red circle above …"``."""
        return ", ".join(condition.words() for condition in self.conditions)

    def hints(self) -> tuple[str, ...]:
        return (*(condition.hint() for condition in self.conditions), "nothing else")

    def extras(self, reading: Reading) -> int:
        """How many things are there that no condition asks for."""
        kinds = [count.kind for count in self.counts]
        strangers = sum(not any(kind.fits(item) for kind in kinds) for item in reading.items)
        return strangers + len(reading.unclear)

    def errors(self, reading: Reading) -> list[tuple[str, int]]:
        """Each hint with how far the picture is from it; 0 is met."""
        rows = [(c.hint(), c.error(reading.items)) for c in self.conditions]
        return [*rows, ("nothing else", self.extras(reading))]

    def met(self, reading: Reading) -> bool:
        return not any(error for _, error in self.errors(reading))


_KIND = (
    rf"(?:(?P<size{{0}}>{'|'.join(SIZES)}) )?(?:(?P<color{{0}}>{'|'.join(COLORS)}) )?"
    rf"(?P<shape{{0}}>{'|'.join(SHAPES)}|shape)s?"
)
_COUNT = re.compile(
    rf"exactly (?P<number>\d) {_KIND.format('')}(?: (?P<region>{'|'.join(REGIONS)}))?"
)
_RELATION = re.compile(rf"{_KIND.format(1)} (?P<relation>{'|'.join(RELATIONS)}) {_KIND.format(2)}")


def parse_hints(hints: Sequence[str]) -> Spec:
    """Read conditions back from their words. Raises ValueError for a hint of another form."""
    conditions: list[Condition] = []
    for hint in hints:
        if hint == "nothing else":
            continue
        if match := _COUNT.fullmatch(hint):
            conditions.append(
                Count(kind=_kind(match), number=int(match["number"]), region=match["region"])
            )
        elif match := _RELATION.fullmatch(hint):
            conditions.append(
                Relation(
                    first=_kind(match, "1"),
                    relation=match["relation"],
                    second=_kind(match, "2"),
                )
            )
        else:
            raise ValueError(
                f"the verifier cannot check the hint {hint!r}; it reads hints such as "
                "'exactly 3 red circles' and 'red circle left of blue square'"
            )
    if not any(isinstance(condition, Count) for condition in conditions):
        said = "there are no hints" if not hints else f"hints {tuple(hints)} name nothing to count"
        raise ValueError(f"{said}; the verifier wants some such as 'exactly 2 red circles'")
    return Spec(conditions=tuple(conditions))


def _kind(match: re.Match[str], suffix: str = "") -> Kind:
    shape = match[f"shape{suffix}"]
    return Kind(
        shape=None if shape == "shape" else shape,
        color=match[f"color{suffix}"],
        size=match[f"size{suffix}"],
    )
