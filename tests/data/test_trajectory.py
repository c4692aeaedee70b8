"""Trajectories: what the agent took for right, and rows that hold all but the pixels."""

import json
import re
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from genagent_data import (
    Ending,
    Picture,
    PictureStore,
    Request,
    Round,
    Trajectory,
    read_jsonl,
    trajectory_from_row,
    trajectory_to_row,
    write_jsonl,
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
pictures = st.builds(
    lambda size, colour: Picture.of(Image.new("RGB", size, colour)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(*[st.integers(0, 255)] * 3),
)
rounds = st.builds(
    Round,
    thinking=st.none() | texts,
    tool_prompt=texts,
    picture=st.none() | pictures,
    judgement=st.none() | texts,
    seed=st.integers(0, 2**62),
    tool_seconds=st.floats(0, 1e6),
)
requests = st.builds(
    Request,
    id=texts,
    prompt=texts.filter(str.strip),
    task=texts,
    hints=st.tuples() | st.tuples(texts) | st.tuples(texts, texts),
    reference=st.none() | texts,
)
trajectories = st.builds(
    Trajectory,
    request=requests,
    rounds=st.lists(rounds, max_size=3).map(tuple),
    answer=st.none() | texts,
    ending=st.sampled_from(get_args(Ending)),
    error=st.none() | texts,
)

RED = Picture.of(Image.new("RGB", (2, 2), "red"))
BLUE = Picture.of(Image.new("RGB", (2, 2), "blue"))
DRAWN = {"r": RED, "b": BLUE, "-": None}


def trajectory(drawn: str, ending: Ending = "answer", **more) -> Trajectory:
    """Of a round for each letter; "-" is one whose tool failed."""
    return Trajectory(
        request=Request(id="1", prompt="a red circle", hints=("red",)),
        rounds=tuple(
            Round(thinking=None, tool_prompt=letter, picture=DRAWN[letter]) for letter in drawn
        ),
        ending=ending,
        **more,
    )


@pytest.mark.parametrize(
    ("drawn", "ending", "taken"),
    [
        ("r", "answer", (True,)),
        ("rbr", "answer", (False, False, True)),
        ("r", "out_of_rounds", (False,)),
        ("rb", "out_of_rounds", (False, False)),
        ("r", "format_error", (None,)),
        ("rrb", "format_error", (False, False, None)),
        ("-", "tool_failure", ()),
        ("r-", "tool_failure", (False,)),
        ("rb-", "tool_failure", (False, False)),
        ("", "answer", ()),
        ("", "out_of_rounds", ()),
        ("", "format_error", ()),
        ("", "tool_failure", ()),
        ("rb", "model_failure", (False, None)),
        ("rb", "fixed", (None, None)),
        ("r", "fixed", (None,)),
    ],
)
def test_what_the_agent_did_next_says_what_it_took_for_right(drawn, ending, taken):
    assert trajectory(drawn, ending).taken_for_right == taken


def test_pictures_are_those_that_were_drawn_in_order():
    assert trajectory("rb-").pictures == (RED, BLUE)
    assert trajectory("brb").pictures == (BLUE, RED, BLUE)
    assert trajectory("-").pictures == trajectory("").pictures == ()


@settings(deadline=None)
@given(written=st.lists(trajectories, max_size=4))
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, written):
    folder = tmp_path_factory.getbasetemp() / "trajectories"
    store, path = PictureStore(folder), tmp_path_factory.getbasetemp() / "trajectories.jsonl"
    for picture in (each for one in written for each in one.pictures):
        assert store.put(picture.image) == picture
    write_jsonl(path, map(trajectory_to_row, written))
    read = read_jsonl(path, lambda row: trajectory_from_row(row, PictureStore(folder)))
    assert read == written
    # Pictures are equal by name; what is behind the name must be, too.
    for one, other in zip(read, written, strict=True):
        seen = [(picture.image.size, picture.image.tobytes()) for picture in one.pictures]
        assert seen == [(each.image.size, each.image.tobytes()) for each in other.pictures]


def test_a_row_holds_pictures_by_name():
    row = trajectory_to_row(trajectory("r-", "tool_failure", error="no memory"))
    assert json.loads(json.dumps(row)) == {
        "request": {
            "id": "1",
            "prompt": "a red circle",
            "task": "free",
            "hints": ["red"],
            "reference": None,
        },
        "rounds": [
            {
                "thinking": None,
                "tool_prompt": letter,
                "picture": name,
                "judgement": None,
                "seed": 0,
                "tool_seconds": 0.0,
            }
            for letter, name in (("r", RED.name), ("-", None))
        ],
        "answer": None,
        "ending": "tool_failure",
        "error": "no memory",
    }


def test_reading_leaves_the_row_as_it_is(tmp_path: Path):
    store = PictureStore(tmp_path)
    store.put(RED.image)
    row = json.loads(json.dumps(trajectory_to_row(trajectory("r"))))
    before = json.dumps(row)
    assert trajectory_from_row(row, store) == trajectory_from_row(row, store) == trajectory("r")
    assert json.dumps(row) == before


def test_a_picture_that_is_missing_is_named(tmp_path: Path):
    path, store = tmp_path / "some.jsonl", PictureStore(tmp_path / "pictures")
    store.put(RED.image)
    write_jsonl(path, [trajectory_to_row(trajectory("r")), trajectory_to_row(trajectory("rb"))])
    with pytest.raises(FileNotFoundError, match=f"no picture {BLUE.name} in .*pictures"):
        read_jsonl(path, lambda row: trajectory_from_row(row, store))


GOOD = trajectory_to_row(trajectory("-"))
ROUND = {"thinking": None, "tool_prompt": "p", "picture": None}


@pytest.mark.parametrize(
    "row",
    [
        {},
        {key: GOOD[key] for key in GOOD if key != "request"},
        {key: GOOD[key] for key in GOOD if key != "rounds"},
        {key: GOOD[key] for key in GOOD if key != "ending"},
        GOOD | {"rounds": None},
        GOOD | {"rounds": [3]},
        GOOD | {"rounds": [{"thinking": None, "tool_prompt": "p", "image": None}]},
        GOOD | {"rounds": [{"thinking": None, "picture": None}]},
        GOOD | {"rounds": [ROUND | {"colour": "red"}]},
        GOOD | {"request": None},
        GOOD | {"request": {"id": "1", "prompt": "x"}},
        GOOD | {"request": {"id": "1", "prompt": 3, "hints": []}},
        GOOD | {"request": {"id": "1", "prompt": "x", "hints": [], "colour": "red"}},
        GOOD | {"colour": "red"},
    ],
)
def test_a_row_that_is_no_trajectory_is_named(tmp_path: Path, row):
    path = tmp_path / "some.jsonl"
    write_jsonl(path, [GOOD, row])
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}:2: not a trajectory"):
        read_jsonl(path, lambda row: trajectory_from_row(row, PictureStore(tmp_path)))


def test_a_picture_without_a_pictures_name_is_named_by_its_line(tmp_path: Path):
    path = tmp_path / "some.jsonl"
    write_jsonl(path, [GOOD, GOOD | {"rounds": [ROUND | {"picture": 5}]}])
    with pytest.raises(ValueError, match=r"some\.jsonl:2: picture 5 is no name of a picture"):
        read_jsonl(path, lambda row: trajectory_from_row(row, PictureStore(tmp_path)))


def test_a_request_that_says_nothing_is_named_as_such(tmp_path: Path):
    path = tmp_path / "some.jsonl"
    write_jsonl(path, [GOOD | {"request": {"id": "x", "prompt": " ", "hints": []}}])
    with pytest.raises(ValueError, match=r"some\.jsonl:1: .*'x' has an empty prompt"):
        read_jsonl(path, lambda row: trajectory_from_row(row, PictureStore(tmp_path)))
