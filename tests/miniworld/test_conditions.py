"""Conditions: what meets them, and the hints that carry them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genagent_miniworld import Item, Reading, sample_requests
from genagent_miniworld.conditions import Count, Kind, Relation, Spec, parse_hints

RED_CIRCLE = Kind(color="red", shape="circle")
BLUE_SQUARE = Kind(color="blue", shape="square")


def item(place: int, words: str) -> Item:
    size, color, shape = words.split()
    return Item(place=place, color=color, shape=shape, size=size)


def reading(*items: Item, unclear: tuple[int, ...] = ()) -> Reading:
    return Reading(items=items, unclear=unclear)


def test_a_count_is_exact():
    spec = Spec(conditions=(Count(kind=RED_CIRCLE, number=2),))
    one, two = item(0, "small red circle"), item(5, "large red circle")
    assert spec.met(reading(one, two))
    assert spec.errors(reading(one)) == [("exactly 2 red circles", 1), ("nothing else", 0)]
    assert spec.errors(reading()) == [("exactly 2 red circles", 2), ("nothing else", 0)]


def test_strangers_and_blobs_are_extras():
    spec = Spec(conditions=(Count(kind=RED_CIRCLE, number=1),))
    circle = item(0, "small red circle")
    assert spec.errors(reading(circle, item(1, "small red square"), unclear=(4, 7))) == [
        ("exactly 1 red circle", 0),
        ("nothing else", 3),
    ]


def test_a_region_wants_every_one_of_its_kind_there():
    spec = Spec(conditions=(Count(kind=RED_CIRCLE, number=2, region="in the top row"),))
    top, right, low = (item(place, "small red circle") for place in (0, 2, 7))
    assert spec.met(reading(top, right))
    assert not spec.met(reading(top, low))
    assert spec.errors(reading(top, right, low))[0] == ("exactly 2 red circles in the top row", 1)


@pytest.mark.parametrize(
    ("relation", "first", "second", "holds"),
    [
        ("left of", 0, 1, True),
        ("left of", 3, 0, False),
        ("right of", 8, 0, True),
        ("above", 2, 3, True),
        ("above", 3, 5, False),
        ("below", 6, 1, True),
    ],
)
def test_relations_compare_rows_and_columns(relation, first, second, holds):
    spec = Spec(
        conditions=(
            Count(kind=RED_CIRCLE, number=1),
            Count(kind=BLUE_SQUARE, number=1),
            Relation(first=RED_CIRCLE, relation=relation, second=BLUE_SQUARE),
        )
    )
    items = sorted([item(first, "small red circle"), item(second, "small blue square")])
    assert spec.met(reading(*items)) is holds


def test_a_relation_fails_where_one_side_is_missing():
    relation = Relation(first=RED_CIRCLE, relation="above", second=BLUE_SQUARE)
    assert relation.error((item(0, "small red circle"),)) == 1


def test_hints_read_as_people_would_write_them():
    spec = Spec(
        conditions=(
            Count(kind=Kind(size="small", color="red", shape="circle"), number=1),
            Count(kind=Kind(shape="square"), number=3, region="in the left column"),
        )
    )
    assert spec.hints() == (
        "exactly 1 small red circle",
        "exactly 3 squares in the left column",
        "nothing else",
    )


@given(seed=st.integers(0, 10**6), split=st.sampled_from(["train", "held-out"]))
def test_hints_of_every_request_are_read_back(seed, split):
    for request in sample_requests(9, seed=seed, split=split):
        assert parse_hints(request.hints).hints() == request.hints


@pytest.mark.parametrize("hint", ["a red circle", "exactly three red circles", "exactly 2 dogs"])
def test_a_hint_of_another_form_is_named(hint):
    with pytest.raises(ValueError, match=hint):
        parse_hints([hint])


def test_hints_without_a_count_are_refused():
    with pytest.raises(ValueError, match="nothing to count"):
        parse_hints(["nothing else"])
