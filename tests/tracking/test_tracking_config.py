import enum
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

import pytest
import tyro
from hypothesis import given
from hypothesis import strategies as st

from genagent_tracking import config_from_json, config_to_json, flatten_config


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, kw_only=True, slots=True)
class Inner:
    size: int = 8
    rate: float = 2e-4
    mode: Literal["zero", "literal"] = "zero"

    def __post_init__(self) -> None:
        if self.size < 0:
            raise ValueError(f"size is {self.size}; wants 0 or more")


@dataclass(frozen=True, kw_only=True, slots=True)
class Near:
    kind: Annotated[Literal["near"], tyro.conf.Suppress] = "near"
    width: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Far:
    """The same fields as ``Near``; only the kind tells them apart."""

    kind: Annotated[Literal["far"], tyro.conf.Suppress] = "far"
    width: int = 1

    def __post_init__(self) -> None:
        if self.width < 0:
            raise ValueError(f"width is {self.width}; wants 0 or more")


@dataclass(frozen=True, kw_only=True, slots=True)
class Nest:
    kind: Annotated[Literal["nest"], tyro.conf.Suppress] = "nest"
    place: Annotated[Near | Far, tyro.conf.AvoidSubcommands] = Near()
    hole: Near = Near()
    mode: Literal["zero", "literal"] = "zero"


@dataclass(frozen=True, kw_only=True, slots=True)
class Outer:
    name: str = "mini"
    inner: Annotated[Inner, tyro.conf.arg(name="")] = Inner()
    stages: tuple[Inner, ...] = ()
    clip: tuple[float, float] = (0.2, 0.2)
    colour: Colour = Colour.RED
    path: Path | None = None
    seed: int | None = None
    place: Annotated[Near | Far | Nest, tyro.conf.AvoidSubcommands] = Far()
    extra: Mapping[str, int | float | str] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    grid: tuple[tuple[int, ...], ...] = ()
    on: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Needy:
    steps: int
    note: str = ""


floats = st.floats(allow_nan=False)
inners = st.builds(
    Inner, size=st.integers(0), rate=floats, mode=st.sampled_from(["zero", "literal"])
)
places = st.builds(Near, width=st.integers()) | st.builds(Far, width=st.integers(0))
outers = st.builds(
    Outer,
    name=st.text(),
    inner=inners,
    stages=st.lists(inners, max_size=3).map(tuple),
    clip=st.tuples(floats, floats),
    colour=st.sampled_from(Colour),
    path=st.none() | st.sampled_from([Path("a/b"), Path("/c d")]),
    seed=st.none() | st.integers(),
    place=places | st.builds(Nest, place=places),
    extra=st.dictionaries(
        st.text("ab_-:/ 1", min_size=1),
        st.integers() | floats | st.sampled_from(["", "1", "1.0", "NaN", "Infinity", "null"]),
        max_size=3,
    ),
    names=st.lists(st.text(), max_size=3),
    grid=st.lists(st.lists(st.integers(), max_size=2).map(tuple), max_size=2).map(tuple),
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
    """The same classes too: repr tells 1 from 1.0 and a near place from a far one."""
    assert repr(config_from_json(Outer, config_to_json(config))) == repr(config)


@given(outers)
def test_flat_parameters_are_the_leaves_of_the_json(config: Outer):
    flat = flatten_config(config)

    plain = leaves(json.loads(config_to_json(config)))
    assert len(flat) == len(plain)
    assert flat["inner.size"] == str(config.inner.size)
    assert flat["colour"] == config.colour.value


def test_flatten_a_worked_example():
    config = Outer(
        stages=(Inner(size=1), Inner(size=2, mode="literal")),
        path=Path("runs/x"),
        extra={"a": 1.5, "b": "x"},
        names=["p", "ß"],
        grid=((1, 2), ()),
    )

    assert flatten_config(config) == {
        "name": "mini",
        "inner.size": "8",
        "inner.rate": "0.0002",
        "inner.mode": "zero",
        "stages.0.size": "1",
        "stages.0.rate": "0.0002",
        "stages.0.mode": "zero",
        "stages.1.size": "2",
        "stages.1.rate": "0.0002",
        "stages.1.mode": "literal",
        "clip": "[0.2, 0.2]",
        "colour": "red",
        "path": "runs/x",
        "seed": "None",
        "place.kind": "far",
        "place.width": "1",
        "extra.a": "1.5",
        "extra.b": "x",
        "names": '["p", "ß"]',
        "grid.0": "[1, 2]",
        "grid.1": "[]",
        "on": "False",
    }


def test_a_long_value_says_that_it_was_cut():
    flat = flatten_config(Outer(name="x" * 7000))

    assert len(flat["name"]) == 6000
    assert flat["name"].endswith(" … (cut; 7000 characters, whole in config.json)")
    assert flatten_config(Outer(name="x" * 6000))["name"] == "x" * 6000


def test_names_that_mlflow_does_not_take_are_refused():
    assert flatten_config(Outer(extra={"a" * 244: 1}))["extra." + "a" * 244] == "1"
    for key in ("a*", "a\n", "a" * 245):
        with pytest.raises(
            ValueError, match=r"'extra\.a.* is no name of a parameter; MLflow takes"
        ):
            flatten_config(Outer(extra={key: 1}))


def test_json_is_for_people_too():
    assert config_to_json(Needy(steps=3, note="groß")) == '{\n  "steps": 3,\n  "note": "groß"\n}'


def test_infinity_and_not_a_number_survive_beside_their_names():
    given = Outer(clip=(math.inf, -math.inf), extra={"a": math.nan, "b": "NaN", "c": math.inf})
    config = config_from_json(Outer, config_to_json(given))

    assert config.clip == (math.inf, -math.inf)
    assert isinstance(config.extra["a"], float) and math.isnan(config.extra["a"])
    assert (config.extra["b"], config.extra["c"]) == ("NaN", math.inf)
    assert flatten_config(given)["extra.a"] == "nan"


def test_fields_left_out_take_their_defaults():
    assert config_from_json(Outer, '{"inner": {"size": 3}}') == Outer(inner=Inner(size=3))
    assert config_from_json(Outer, '{"place": {"width": 3}}') == Outer(place=Near(width=3))


def test_an_integer_will_do_for_a_float_and_is_written_as_one():
    assert repr(config_from_json(Inner, '{"rate": 3}').rate) == "3.0"
    assert config_to_json(Inner(rate=3)) == config_to_json(Inner(rate=3.0))


@pytest.mark.parametrize(
    ("config_type", "text", "message"),
    [
        (
            Outer,
            '{"on": }',
            "the configuration is not JSON: Expecting value: line 1 column 8 (char 7)",
        ),
        (Needy, "{}", "config.steps is missing; give it a value"),
        (Outer, '{"sise": 3}', "config.sise is no known field; take it out"),
        (Outer, '{"inner": {"sise": 3}}', "config.inner.sise is no known field; take it out"),
        (Outer, '{"inner": {"size": "3"}}', "config.inner.size is '3'; wants a valid integer"),
        (Outer, '{"inner": {"size": true}}', "config.inner.size is True; wants a valid integer"),
        (Outer, '{"inner": {"size": 3.0}}', "config.inner.size is 3.0; wants a valid integer"),
        (Outer, '{"inner": {"rate": "1"}}', "config.inner.rate is '1'; wants a valid number"),
        (Outer, '{"inner": {"mode": "x"}}', "config.inner.mode is 'x'; wants 'zero' or 'literal'"),
        (Outer, '{"inner": 4}', "config.inner is 4; wants an object"),
        (Outer, "4", "config is 4; wants an object"),
        (Outer, '{"name": 1}', "config.name is 1; wants a valid string"),
        (Outer, '{"name": null}', "config.name is None; wants a valid string"),
        (Outer, '{"name": 1, "seed": "1"}', "config.name is 1; wants a valid string"),
        (Outer, '{"on": 1}', "config.on is 1; wants a valid boolean"),
        (Outer, '{"path": 1}', "config.path is 1; wants a valid string"),
        (Outer, '{"colour": "RED"}', "config.colour is 'RED'; wants 'red' or 'blue'"),
        (Outer, '{"clip": [1.0]}', "config.clip.1 is missing; give it a value"),
        (
            Outer,
            '{"clip": [1.0, 2.0, 3.0]}',
            "config.clip is [1.0, 2.0, 3.0]; wants at most 2 items after validation, not 3",
        ),
        (Outer, '{"stages": {}}', "config.stages is {}; wants a valid array"),
        (
            Outer,
            '{"stages": [{}, {"size": ""}]}',
            "config.stages.1.size is ''; wants a valid integer",
        ),
        (
            Outer,
            '{"extra": {"int": null}}',
            "config.extra.int is None; wants a valid integer or a valid number or a valid string",
        ),
        (Outer, '{"stages": [{"size": -1}]}', "config.stages.0: size is -1; wants 0 or more"),
    ],
)
def test_broken_json_names_the_field(config_type: type, text: str, message: str):
    with pytest.raises(ValueError) as refused:
        config_from_json(config_type, text)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ('{"kind": "far", "width": -1}', "config.place: width is -1; wants 0 or more"),
        ('{"kind": "far", "wide": 1}', "config.place.wide is no known field; take it out"),
        ('{"kind": "near", "width": 0.5}', "config.place.width is 0.5; wants a valid integer"),
        ('{"kind": "on"}', "config.place.kind is 'on'; wants 'near' or 'far' or 'nest'"),
        (
            '{"kind": "nest", "place": {"kind": "far", "width": ""}}',
            "config.place.place.width is ''; wants a valid integer",
        ),
        (
            '{"kind": "nest", "place": {"kind": "on"}}',
            "config.place.place.kind is 'on'; wants 'near' or 'far'",
        ),
        (
            '{"kind": "nest", "hole": {"kind": "far"}}',
            "config.place.hole.kind is 'far'; wants 'near'",
        ),
        (
            '{"kind": "nest", "mode": "x"}',
            "config.place.mode is 'x'; wants 'zero' or 'literal'",
        ),
        ("3", "config.place is 3; wants an object"),
    ],
)
def test_of_a_union_only_the_member_that_is_meant_complains(place: str, message: str):
    with pytest.raises(ValueError) as refused:
        config_from_json(Outer, f'{{"place": {place}}}')
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"name": object()}, "config.name is <object object at "),
        ({"path": "a/b"}, "config.path is 'a/b'; wants an instance of Path"),
        ({"names": ("a",)}, "config.names is ('a',); wants a valid list"),
        ({"place": Inner()}, "config.place is Inner(size=8, "),
        ({"stages": (replace(Inner(), rate="3"),)}, "config.stages.0.rate is '3'; wants a valid"),
    ],
)
def test_what_would_come_back_as_something_else_is_not_written(changed, message: str):
    for write in (config_to_json, flatten_config):
        with pytest.raises(ValueError) as refused:
            write(replace(Outer(), **changed))
        assert str(refused.value).startswith(message)


@pytest.mark.parametrize("value", [{"a": 1}, Outer, None])
def test_only_a_dataclass_is_a_configuration(value: object):
    with pytest.raises(ValueError, match="is no configuration; pass a dataclass"):
        flatten_config(value)
