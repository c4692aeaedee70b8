"""Rows of GenEval and GenEval++ as hints. The rows are made up here, one for each form."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genagent_data import Request, read_requests
from genagent_data.geneval import geneval_hints, plural


def thing(name: str, count: int = 1, **more: object) -> dict:
    return {"class": name, "count": count, **more}


@pytest.mark.parametrize(
    ("include", "hints"),
    [
        ([thing("lamp")], ["exactly 1 lamp"]),
        ([thing("lamp", color=None, region=None)], ["exactly 1 lamp"]),
        (
            [thing("bus", color="pink"), thing("goat", 3, color="green")],
            ["exactly 1 pink bus", "exactly 3 green goats"],
        ),
        (
            [thing("violin", 3, region="left"), thing("pear", region="right")],
            [
                "exactly 3 violins, all in the left part of the picture",
                "exactly 1 pear, in the right part of the picture",
            ],
        ),
        (
            [thing("sheep", 2, color="blue", region="above"), thing("scissors", 2, region="below")],
            [
                "exactly 2 blue sheep, both in the upper part of the picture",
                "exactly 2 pairs of scissors, both in the lower part of the picture",
            ],
        ),
        (
            [
                thing("skis", color="red", size="larger", region="left"),
                thing("owl", size="smaller"),
            ],
            [
                "exactly 1 pair of red skis, in the left part of the picture and larger than "
                "the owl",
                "exactly 1 owl, smaller than the red skis",
            ],
        ),
        (
            [thing("owl", 2, size="smaller"), thing("cup", size="larger"), thing("tin")],
            [
                "exactly 2 owls, both smaller than the cup",
                "exactly 1 cup, larger than the owls",
                "exactly 1 tin",
            ],
        ),
        (
            [thing("goat", 2, color="red"), thing("lamp", position=["left of", 0])],
            ["exactly 2 red goats", "exactly 1 lamp, to the left of the red goats"],
        ),
        (
            [thing("goat", 4, position=["above", 1]), thing("lamp", position=["right of", 0])],
            ["exactly 4 goats, all above the lamp", "exactly 1 lamp, to the right of the goats"],
        ),
        (
            [thing("goat", color="red"), thing("goat", color="blue", position=["below", 0])],
            ["exactly 1 red goat", "exactly 1 blue goat, below the red goat"],
        ),
    ],
)
def test_what_a_picture_must_hold(include, hints):
    row = {"tag": "t", "include": include, "prompt": "p"}
    assert list(geneval_hints(row)) == hints


@pytest.mark.parametrize(
    ("exclude", "hint"),
    [
        (thing("goat", 5), "no more than 4 goats"),
        (thing("goat", 2), "no more than 1 goat"),
        (thing("goat"), "no goats"),
        (thing("scissors"), "no scissors"),
        (thing("scissors", 3), "no more than 2 pairs of scissors"),
        (thing("scissors", 2), "no more than 1 pair of scissors"),
    ],
)
def test_what_a_picture_must_not_hold(exclude, hint):
    row = {"tag": "t", "include": [thing("lamp")], "exclude": [exclude], "prompt": "p"}
    assert geneval_hints(row) == ("exactly 1 lamp", hint)


@pytest.mark.parametrize(
    ("one", "more"),
    [
        ("goat", "goats"),
        ("bench", "benches"),
        ("toothbrush", "toothbrushes"),
        ("wine glass", "wine glasses"),
        ("box", "boxes"),
        ("cherry", "cherries"),
        ("toy", "toys"),
        ("giraffe", "giraffes"),
        ("butter knife", "butter knives"),
        ("computer mouse", "computer mice"),
        ("person", "people"),
        ("sheep", "sheep"),
        ("skis", "skis"),
    ],
)
def test_plurals(one, more):
    assert plural(one) == more


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"note": "x"}, "the row: unknown key 'note'; known: tag, include, exclude, prompt"),
        ({"include": {}}, r'"include" wants a list of objects, has \{\}'),
        ({"include": []}, '"include" is empty'),
        ({"include": ["lamp"]}, r"include\[0\]: wants an object"),
        ({"include": [{"class": "lamp"}]}, r'include\[0\]: "count" wants a whole number from 1'),
        ({"include": [thing("lamp", 0)]}, '"count" wants a whole number from 1, has 0'),
        ({"include": [thing("lamp", True)]}, '"count" wants a whole number from 1, has True'),
        ({"include": [{"count": 1}]}, r'include\[0\]: "class" is missing'),
        ({"include": [thing(" ")]}, '"class" wants a text'),
        (
            {"include": [thing("lamp"), thing("owl", mood="sad")]},
            r"include\[1\]: unknown key 'mood",
        ),
        ({"include": [thing("lamp", color=3)]}, '"color" wants a text, has 3'),
        ({"include": [thing("lamp", region="centre")]}, '"region" wants above or below or left or'),
        ({"include": [thing("lamp", size="huge")]}, "\"size\" wants larger or smaller, has 'huge'"),
        ({"include": [thing("lamp", size="larger")]}, "\"size\" is 'larger' than nothing"),
        ({"include": [thing("lamp", position="left")]}, '"position" wants one of left of, right'),
        ({"include": [thing("lamp", position=["near", 0])]}, '"position" wants one of left of'),
        ({"include": [thing("lamp", position=["above", False])]}, "such as .* has .'above', False"),
        ({"include": [thing("lamp", position=["above", 0])]}, '"position" refers to entry 0'),
        ({"include": [thing("lamp", position=["above", 1])]}, '"position" refers to entry 1'),
        ({"include": [thing("lamp", position=["above", -1])]}, '"position" refers to entry -1'),
        (
            {"include": [thing("lamp"), thing("owl"), thing("lamp", region="left")]},
            r"include\[0\] and include\[2\] both ask for 'lamp'; tell them apart",
        ),
        ({"exclude": [thing("owl", color="red")]}, r"exclude\[0\]: unknown key 'color'"),
        ({"exclude": ["owl"]}, r"exclude\[0\]: wants an object"),
    ],
)
def test_an_unknown_form_is_named(tmp_path, row, message):
    path = tmp_path / "rows.jsonl"
    whole = {"tag": "t", "include": [thing("lamp")], "prompt": "p"}
    path.write_text(json.dumps(whole) + "\n" + json.dumps(whole | row) + "\n")
    with pytest.raises(ValueError, match=message) as caught:
        read_requests(path)
    assert str(caught.value).startswith(f"{path}:2: ")


def test_a_row_becomes_a_request_with_its_tag_as_task(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(
        '{"prompt": "plain"}\n'
        '{"tag": "many", "include": [{"class": "goat", "count": 9}], '
        '"exclude": [{"class": "goat", "count": 10}], "prompt": "A photo of nine goats"}\n'
        '{"tag": "one", "include": [{"class": "tin", "count": 1}], "prompt": "A photo of a tin"}\n'
    )
    assert read_requests(path) == [
        Request(id="rows-1", prompt="plain"),
        Request(
            id="rows-2",
            prompt="A photo of nine goats",
            task="many",
            hints=("exactly 9 goats", "no more than 9 goats"),
        ),
        Request(id="rows-3", prompt="A photo of a tin", task="one", hints=("exactly 1 tin",)),
    ]


@given(
    names=st.lists(st.text("abcdefgh", min_size=1), min_size=1, max_size=4, unique=True),
    counts=st.lists(st.integers(1, 12), min_size=4, max_size=4),
    excluded=st.lists(st.integers(1, 12), max_size=3),
)
def test_each_entry_gives_one_hint_in_its_place(names, counts, excluded):
    include = [thing(name, count) for name, count in zip(names, counts, strict=False)]
    exclude = [thing("owl", count) for count in excluded]
    hints = geneval_hints({"tag": "t", "include": include, "exclude": exclude, "prompt": "p"})
    assert [hint.split()[:2] for hint in hints[: len(names)]] == [
        ["exactly", str(entry["count"])] for entry in include
    ]
    assert [hint.split()[0] for hint in hints[len(names) :]] == ["no"] * len(exclude)
