import enum
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genagent_tracking import config_from_json, config_to_json, flatten_config


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Inner:
    size: int = 8
    rate: float = 2e-4
    kind: Literal["zero", "literal"] = "zero"


@dataclass(frozen=True, kw_only=True, slots=True)
class Other:
    width: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Outer:
    name: str = "mini"
    inner: Inner = Inner()
    stages: tuple[Inner, ...] = ()
    clip: tuple[float, float] = (0.2, 0.2)
    colour: Colour = Colour.RED
    path: Path | None = None
    seed: int | None = None
    either: Inner | Other = Other()
    limits: Mapping[str, float] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    on: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Needy:
    steps: int


inners = st.builds(
    Inner,
    size=st.integers(),
    rate=st.floats(allow_nan=False),
    kind=st.sampled_from(["zero", "literal"]),
)
outers = st.builds(
    Outer,
    name=st.text(),
    inner=inners,
    stages=st.lists(inners, max_size=3).map(tuple),
    clip=st.tuples(st.floats(allow_nan=False), st.floats(allow_nan=False)),
    colour=st.sampled_from(Colour),
    path=st.none() | st.sampled_from([Path("a/b"), Path("/c d")]),
    seed=st.none() | st.integers(),
    either=inners | st.builds(Other, width=st.integers()),
    limits=st.dictionaries(st.text("ab_-:/ 1", min_size=1), st.floats(allow_nan=False), max_size=3),
    names=st.lists(st.text(), max_size=3),
    on=st.booleans(),
)


def leaves(value: object) -> list[object]:
    if isinstance(value, dict) and value:
        return [leaf for item in value.values() for leaf in leaves(item)]
    if isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value):
        return [leaf for item in value for leaf in leaves(item)]
    return [value]


@given(outers)
def test_json_gives_the_same_config_back(config: Outer):
    text = config_to_json(config)

    assert config_from_json(Outer, text) == config
    json.loads(text, parse_constant=pytest.fail)


@given(outers)
def test_flat_parameters_are_the_leaves_of_the_json(config: Outer):
    flat = flatten_config(config)

    assert all(isinstance(value, str) for value in flat.values())
    plain = leaves(json.loads(config_to_json(config)))
    assert len(flat) == len(plain)
    assert flat["inner.size"] == str(config.inner.size)
    assert flat["colour"] == config.colour.name


def test_flatten_a_worked_example():
    config = Outer(
        stages=(Inner(size=1), Inner(size=2, kind="literal")),
        path=Path("runs/x"),
        limits={"a": 1.5},
        names=["p", "q"],
    )

    assert flatten_config(config) == {
        "name": "mini",
        "inner.size": "8",
        "inner.rate": "0.0002",
        "inner.kind": "zero",
        "stages.0.size": "1",
        "stages.0.rate": "0.0002",
        "stages.0.kind": "zero",
        "stages.1.size": "2",
        "stages.1.rate": "0.0002",
        "stages.1.kind": "literal",
        "clip": "[0.2, 0.2]",
        "colour": "RED",
        "path": "runs/x",
        "seed": "None",
        "either.width": "1",
        "limits.a": "1.5",
        "names": '["p", "q"]',
        "on": "False",
    }


def test_a_long_value_says_that_it_was_cut():
    flat = flatten_config(Outer(name="x" * 7000))

    assert len(flat["name"]) == 6000
    assert flat["name"].endswith(" … (cut; 7000 characters, whole in config.json)")
    assert flatten_config(Outer(name="x" * 6000))["name"] == "x" * 6000


def test_not_a_number_survives_the_json():
    config = config_from_json(Inner, config_to_json(Inner(rate=math.nan)))

    assert math.isnan(config.rate)
    assert json.loads(config_to_json(Inner(rate=-math.inf)))["rate"] == "-inf"


def test_fields_left_out_take_their_defaults():
    assert config_from_json(Outer, '{"inner": {"size": 3}}') == Outer(inner=Inner(size=3))


@pytest.mark.parametrize(
    ("config_type", "text", "message"),
    [
        (Outer, "{", "not JSON"),
        (Outer, '{"inner": {"sise": 3}}', "config.inner has no field 'sise'; known: size, rate"),
        (Outer, '{"inner": {"size": "3"}}', "config.inner.size is '3'; wants int"),
        (Outer, '{"inner": {"size": true}}', "config.inner.size is True; wants int"),
        (Outer, '{"inner": {"kind": "none"}}', "config.inner.kind is 'none'; known: zero, literal"),
        (Outer, '{"colour": "GREEN"}', "config.colour is 'GREEN'; known: RED, BLUE"),
        (Outer, '{"colour": []}', r"config.colour is \[\]; known: RED, BLUE"),
        (Outer, '{"clip": [1.0]}', "config.clip has 1 items; wants 2"),
        (Outer, '{"stages": {}}', "config.stages is {}; wants an array"),
        (Outer, '{"inner": 4}', "config.inner is 4; wants an object"),
        (Outer, '{"name": null}', "config.name is None; wants str"),
        (Needy, "{}", "config.steps is missing"),
    ],
)
def test_broken_json_names_the_field(config_type: type, text: str, message: str):
    with pytest.raises(ValueError, match=message):
        config_from_json(config_type, text)


def test_what_json_cannot_give_back_is_refused():
    with pytest.raises(ValueError, match=r"config\.name holds .* of type object"):
        config_to_json(Outer(name=object()))  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="pass a dataclass"):
        flatten_config({"a": 1})
    with pytest.raises(ValueError, match=r"'limits\.a\*' is no name"):
        flatten_config(Outer(limits={"a*": 1.0}))
