"""Imagine: its file, its question, how replies are read, and what is mended in that."""

from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.worlds.benchmark_files import imagine_rows, write_lines

from genagent_rewards import Picture
from genagent_worlds import Benchmark, Protocol_, Score, load_benchmark
from genagent_worlds.benchmarks.imagine import read_official, read_ours

REPLY = """Fantasy Fulfillment: {}
Reason: blue fur

Identity Preservation: {}
Reason: still a monkey

Aesthetic Quality: {}
Reason: sharp"""


def load(path: Path, rows: list[dict], protocol: Protocol_ = "official") -> Benchmark:
    return load_benchmark("imagine", write_lines(path / "Imagine.jsonl", rows), protocol=protocol)


def scored(fantasy: float, identity: float, aesthetic: float, value: float, reason: str) -> Score:
    parts = {"fantasy": fantasy, "identity": identity, "aesthetic": aesthetic}
    return Score(value=cast(float, pytest.approx(value)), parts=parts, reason=reason)


def test_eight_types_become_four_categories(tmp_path):
    benchmark = load(tmp_path, imagine_rows(2)[::-1])
    assert [(one.id, one.task) for one in benchmark.requests][::2] == [
        ("1", "Attribute Shift"),
        ("3", "Attribute Shift"),
        ("5", "Hybridization"),
        ("7", "Attribute Shift"),
        ("9", "Hybridization"),
        ("11", "Spatiotemporal"),
        ("13", "Spatiotemporal"),
        ("15", "Multi-Object"),
        ("17", "Multi-Object"),
    ]
    assert benchmark.suffixes == (".png", ".jpg", ".jpeg", ".webp")
    assert benchmark.notes[-1].startswith("a part of 18 of 270 requests")
    assert len(load(tmp_path, imagine_rows(30)).notes) == 1


def test_the_judge_gets_the_prompt_and_its_note(tmp_path):
    noise = Picture.of(Image.effect_noise((16, 16), 90))
    official = load(tmp_path, imagine_rows())
    text, image = official.question(official.requests[4], noise).parts
    assert isinstance(text, str) and text.endswith('PROMPT: "a thing 5"\nEXPLANATION: "odd 5"')
    assert isinstance(image, Image.Image) and Picture.of(image) != noise  # what JPEG leaves
    ours = load(tmp_path, imagine_rows(), "ours")
    image, text = ours.question(ours.requests[4], noise).parts
    assert isinstance(image, Image.Image) and Picture.of(image) == noise
    assert isinstance(text, str) and "First say what you see" in text


def test_a_file_without_notes_loads_with_a_line_that_says_what_it_means(tmp_path):
    bare = load(tmp_path, imagine_rows(30, notes=False))
    assert bare.notes[1:] == (
        "270 of 270 rows have no note, the explanation that the official judge is given: it judges "
        "those by the prompt alone, and the figures cannot be compared with the paper's",
    )
    assert bare.requests[0].hints == ()
    text = bare.question(bare.requests[0], Picture.of(Image.new("RGB", (8, 8)))).parts[0]
    assert isinstance(text, str) and text.endswith('PROMPT: "a thing 1"')
    assert bare.version != load(tmp_path, imagine_rows(30)).version


def test_the_lesser_of_fantasy_and_identity_counts():
    assert read_official(REPLY.format(9, 6, 8)) == scored(
        9, 6, 8, 6.4, "blue fur still a monkey sharp"
    )
    assert read_official(REPLY.format(3, 10, 0)) == scored(
        3, 10, 0, 2.4, "blue fur still a monkey sharp"
    )


def test_the_official_script_cuts_to_two_digits_and_to_10():
    assert read_official(
        "Fantasy Fulfillment 11 Identity Preservation\uff1a99 Aesthetic Quality:100"
    ) == (scored(10, 10, 10, 10, ""))
    assert read_official(REPLY.format(2, 2, 2) + "\n" + REPLY.format(7, 7, 7)) == scored(
        7, 7, 7, 7, "blue fur still a monkey sharp blue fur still a monkey sharp"
    )


@pytest.mark.parametrize("aspect", range(3))
@pytest.mark.parametrize("value", ["high", "", "-1", "**9**"])
def test_an_aspect_that_cannot_be_read_is_no_score_below_nothing(aspect, value):
    values = ["5", "5", "5"]
    values[aspect] = value
    assert read_official(REPLY.format(*values)) is None


@pytest.mark.parametrize("value", ["11", "100", "5.5", "7/100", "9 or 10"])
def test_ours_does_not_cut_another_scale_to_its_own(value):
    reply = "A monkey.\nFantasy Fulfillment: {}\nIdentity Preservation: 8/10\nAesthetic Quality: 5"
    assert read_ours(reply.format("9")) == scored(9, 8, 5, 7.4, "A monkey.")
    assert read_ours(reply.format(value)) is None


@given(text=st.text() | st.text("FantsyulimeIdrvoAhcQ: \n0123456789"))
def test_no_words_are_too_odd_to_be_read(text):
    for read in (read_official, read_ours):
        for reply in (text, REPLY.format(text, 1, 2)):
            score = read(reply)
            assert score is None or 0 <= score.value <= 10


@given(fantasy=st.integers(0, 10), identity=st.integers(0, 10), aesthetic=st.integers(0, 10))
def test_both_ways_read_a_good_reply_alike(fantasy, identity, aesthetic):
    reply = REPLY.format(fantasy, identity, aesthetic)
    official, ours = read_official(reply), read_ours(reply)
    assert official is not None and ours is not None
    assert official.value == ours.value and official.parts == ours.parts


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "filling", [" ", "\n", "Fantasy Fulfillment", "Reason: ", "Reason:\n", "1"]
)
def test_a_reply_of_100_kb_is_read_at_once(filling):
    for read in (read_official, read_ours):
        read("Fantasy Fulfillment" + filling * 100_000 + "x")


def line(path: Path, rows: list[dict]) -> str:
    with pytest.raises(ValueError) as raised:
        load(path, rows)
    assert "\n" not in str(raised.value)
    return str(raised.value).removeprefix(f"{path}/")


def test_a_file_that_is_not_the_benchmarks_is_refused_in_one_line(tmp_path):
    rows = imagine_rows(2)
    assert line(tmp_path, rows[:3] + rows[4:]) == (
        "Imagine.jsonl: has no row with id 4; wants 1 to 17, take the official file as it is"
    )
    assert line(tmp_path, [*rows, rows[4]]) == (
        f"Imagine.jsonl:19: id 5 is taken by {tmp_path}/Imagine.jsonl:5; take the official file as "
        "it is"
    )
    assert line(tmp_path, rows[:-1]) == (
        "Imagine.jsonl: has 2 rows of type COLOR among 17; wants a 1 in 9, 30 in the official file"
    )
    assert line(tmp_path, [rows[0] | {"type": "TWO_OBJECT"}]) == (
        "Imagine.jsonl:1: type 'TWO_OBJECT' is none of Imagine; known: COLOR, SHAPE, SIZE, "
        "MATERIAL, COMBINATION, TIME, ENVIRONMENT, Multi-Object"
    )
    assert line(tmp_path, [rows[0] | {"id": True}]) == (
        'Imagine.jsonl:1: "id" wants a text or a whole number, has True'
    )
    assert line(tmp_path, [rows[0] | {"id": "1"}]) == (
        "Imagine.jsonl:1: \"id\" wants a whole number, has '1'"
    )
    assert line(tmp_path, [rows[0] | {"note": 7}]) == (
        'Imagine.jsonl:1: "note" wants a text, has 7'
    )
    assert line(tmp_path, [{"id": 1, "instruction": "x"}]) == (
        'Imagine.jsonl:1: has no "type"; take the official file as it is'
    )
    assert line(tmp_path, []).startswith("Imagine.jsonl: has 0 rows of type COLOR")
