"""Rows of GenEval and GenEval++ as conditions in plain words.

GenEval (arXiv 2310.11513, ``evaluate_images.py``) counts with a detector: ``include`` wants at
least ``count`` of a class, ``exclude`` fewer than ``count``. GenEval++ (Echo-4o, arXiv 2508.09987)
hands the same rows to an MLLM as a checklist of which all must hold, numbers and places included,
so ``include`` is "exactly" here. Its own checklist says "red-colored 2 cars" and "toothbrushs";
this one means the same in English, and names what a size is compared with.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

REGIONS = {"above": "upper", "below": "lower", "left": "left", "right": "right"}
RELATIONS = {
    "left of": "to the left of",
    "right of": "to the right of",
    "above": "above",
    "below": "below",
}
OPPOSITES = {"larger": "smaller", "smaller": "larger"}

_ROW_KEYS = ("tag", "include", "exclude", "prompt")
_INCLUDE_KEYS = ("class", "count", "color", "region", "size", "position")
_EXCLUDE_KEYS = ("class", "count")

_IRREGULAR = {
    "child": "children",
    "foot": "feet",
    "goose": "geese",
    "knife": "knives",
    "leaf": "leaves",
    "loaf": "loaves",
    "man": "men",
    "mouse": "mice",
    "person": "people",
    "potato": "potatoes",
    "scarf": "scarves",
    "shelf": "shelves",
    "tomato": "tomatoes",
    "tooth": "teeth",
    "wolf": "wolves",
    "woman": "women",
}
_UNCHANGED = {"aircraft", "broccoli", "deer", "fish", "sheep"}
# "1 skis" is no English, and "2 skis" would be met by the one pair that "1 skis" asks for.
_PAIRS = {"glasses", "jeans", "pants", "scissors", "skis", "sunglasses", "trousers"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Thing:
    """An entry of ``include`` or ``exclude``.

    Example: ``Thing(name="bus", count=2, color="brown").counted() == "2 brown buses"``
    """

    name: str
    count: int
    color: str | None = None
    region: str | None = None
    """Part of the picture, one of ``REGIONS``."""
    size: str | None = None
    """Against the things of the opposite size."""
    position: tuple[str, int] | None = None
    """One of ``RELATIONS``, and the place in ``include`` of what it holds against."""

    def kind(self) -> str:
        """Without the number: ``"brown buses"``."""
        name = plural(self.name) if self.count != 1 else self.name
        return f"{self.color} {name}" if self.color else name

    def counted(self) -> str:
        if _last_word(self.name) in _PAIRS:
            return f"{self.count} {'pair' if self.count == 1 else 'pairs'} of {self.kind()}"
        return f"{self.count} {self.kind()}"


def geneval_hints(row: dict) -> tuple[str, ...]:
    """What a row asks for, a hint for each entry of ``include``, then of ``exclude``.

    Example: ``{"include": [{"class": "dog", "count": 3, "color": "red", "region": "left"}], …}``
    gives ``("exactly 3 red dogs, all in the left part of the picture",)``

    Raises:
        ValueError: a key or a value is not one that GenEval or GenEval++ has; the message names it.
    """
    _refuse_unknown(row, _ROW_KEYS, where="the row")
    wanted = [
        _thing(entry, _INCLUDE_KEYS, where=f"include[{index}]")
        for index, entry in enumerate(_list(row, "include"))
    ]
    if not wanted:
        raise ValueError('"include" is empty; name at least one object')
    unwanted = [
        _thing(entry, _EXCLUDE_KEYS, where=f"exclude[{index}]")
        for index, entry in enumerate(_list(row, "exclude"))
    ]
    for index, thing in enumerate(wanted):
        same = [(other.name, other.color) for other in wanted[:index]]
        if (thing.name, thing.color) in same:
            raise ValueError(
                f"include[{same.index((thing.name, thing.color))}] and include[{index}] both ask "
                f'for {thing.kind()!r}; tell them apart by "color"'
            )
    return (
        *(_wanted_hint(wanted, index) for index in range(len(wanted))),
        *(_unwanted_hint(thing) for thing in unwanted),
    )


def plural(name: str) -> str:
    """More than one of it, by the plain rules of English: ``"wine glass"``, ``"wine glasses"``."""
    start, last = name[: -len(_last_word(name))], _last_word(name)
    if last in _UNCHANGED or last in _PAIRS:
        return name
    if last in _IRREGULAR:
        return start + _IRREGULAR[last]
    if last.endswith(("s", "x", "z", "ch", "sh")):
        return name + "es"
    if last.endswith("y") and not last.endswith(("ay", "ey", "oy", "uy")):
        return name[:-1] + "ies"
    return name + "s"


def _last_word(name: str) -> str:
    return name.split()[-1]


def _wanted_hint(things: Sequence[Thing], index: int) -> str:
    thing = things[index]
    places = []
    if thing.region:
        places.append(f"in the {REGIONS[thing.region]} part of the picture")
    if thing.position:
        relation, target = thing.position
        if target == index or target not in range(len(things)):
            raise ValueError(
                f'include[{index}]: "position" refers to entry {target}, which is not another of '
                f"the {len(things)}; the first is 0"
            )
        places.append(f"{RELATIONS[relation]} the {things[target].kind()}")
    if thing.size:
        opposite = OPPOSITES[thing.size]
        others = [f"the {other.kind()}" for other in things if other.size == opposite]
        if not others:
            raise ValueError(
                f'include[{index}]: "size" is {thing.size!r} than nothing; give another entry '
                f'"size": {opposite!r}'
            )
        places.append(f"{thing.size} than {' and '.join(others)}")
    if not places:
        return f"exactly {thing.counted()}"
    each = {1: "", 2: "both "}.get(thing.count, "all ")
    return f"exactly {thing.counted()}, {each}{' and '.join(places)}"


def _unwanted_hint(thing: Thing) -> str:
    if thing.count == 1:
        return f"no {plural(thing.name)}"
    return f"no more than {replace(thing, count=thing.count - 1).counted()}"


def _thing(entry: object, known: Sequence[str], *, where: str) -> Thing:
    if not isinstance(entry, dict):
        raise ValueError(f'{where}: wants an object with "class" and "count", has {entry!r}')
    _refuse_unknown(entry, known, where=where)
    count = entry.get("count")
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise ValueError(f'{where}: "count" wants a whole number from 1, has {count!r}')
    name = _text(entry, "class", where=where)
    if name is None:
        raise ValueError(f'{where}: "class" is missing; name the object')
    return Thing(
        name=name,
        count=count,
        color=_text(entry, "color", where=where),
        region=_text(entry, "region", where=where, choices=REGIONS),
        size=_text(entry, "size", where=where, choices=OPPOSITES),
        position=_position(entry, where=where),
    )


def _position(entry: dict, *, where: str) -> tuple[str, int] | None:
    match entry.get("position"):
        case None:
            return None
        case [str(relation), int(target)] if relation in RELATIONS and not isinstance(target, bool):
            return relation, target
        case value:
            raise ValueError(
                f'{where}: "position" wants one of {", ".join(RELATIONS)} and the place of an '
                f'entry in "include", such as ["left of", 0]; has {value!r}'
            )


def _text(entry: dict, key: str, *, where: str, choices: Collection[str] = ()) -> str | None:
    value = entry.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip() or (choices and value not in choices):
        wanted = " or ".join(choices) if choices else "a text"
        raise ValueError(f'{where}: "{key}" wants {wanted}, has {value!r}')
    return value.strip()


def _list(row: dict, key: str) -> list:
    value = row.get(key)
    if value is not None and not isinstance(value, list):
        raise ValueError(f'"{key}" wants a list of objects, has {value!r}')
    return value or []


def _refuse_unknown(entry: dict, known: Sequence[str], *, where: str) -> None:
    for key in entry:
        if key not in known:
            raise ValueError(f"{where}: unknown key {key!r}; known: {', '.join(known)}")
