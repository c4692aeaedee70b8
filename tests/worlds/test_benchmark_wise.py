"""WISE and WISE_Verified: their files, their questions, and how replies are read."""

import json
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.worlds.benchmark_files import LEGACY, VERIFIED, ids_of, wise_rows, write_wise

from genagent_rewards import OpenAIChatConfig, Picture
from genagent_worlds import Score, load_benchmark
from genagent_worlds.benchmarks import wise_graded, wise_verified

CULTURE = "cultural_common_sense.json"
SCIENCE = "natural_science.json"
RED = Picture.of(Image.new("RGB", (8, 8), "red"))


def graded(consistency: float, realism: float, aesthetic: float, value: float) -> Score:
    parts = {"consistency": consistency, "realism": realism, "aesthetic_quality": aesthetic}
    return Score(value=cast(float, pytest.approx(value)), parts=parts)


def right(passed: bool, reason: str = "") -> Score:
    value = float(passed)
    return Score(value=value, passed=passed, parts={"score": value}, reason=reason)


def test_categories_go_by_the_range_of_the_id(tmp_path):
    folder = write_wise(tmp_path)
    rows = wise_rows(LEGACY[SCIENCE])
    rows[47]["Category"] = "Ecology"  # as one rewritten row has it
    (folder / SCIENCE).write_text(json.dumps(rows[::-1]))
    found = ids_of(load_benchmark("wise", folder))
    assert {name: (ids[0], ids[-1], len(ids)) for name, ids in found.items()} == {
        "Cultural": ("1", "400", 400),
        "Time": ("401", "567", 167),
        "Space": ("568", "700", 133),
        "Biology": ("701", "800", 100),
        "Physics": ("801", "900", 100),
        "Chemistry": ("901", "1000", 100),
    }
    found = ids_of(load_benchmark("wise-verified", write_wise(tmp_path, VERIFIED)))
    assert {name: (ids[0], ids[-1], len(ids)) for name, ids in found.items()} == {
        "Cultural": ("1", "400", 400),
        "Time": ("401", "520", 120),
        "Space": ("521", "640", 120),
        "Biology": ("641", "760", 120),
        "Physics": ("761", "880", 120),
        "Chemistry": ("881", "1000", 120),
    }


@pytest.mark.parametrize("name", ["wise", "wise-verified"])
@pytest.mark.parametrize("protocol", ["official", "ours"])
def test_the_judge_gets_the_prompt_and_its_explanation(tmp_path, name, protocol):
    write_wise(tmp_path, LEGACY)
    write_wise(tmp_path, VERIFIED)
    benchmark = load_benchmark(name, tmp_path, protocol=protocol)
    request = benchmark.requests[6]
    assert (request.id, request.prompt, request.hints) == ("7", "what one knows 7", ("it is 7",))
    question = benchmark.question(request, RED)
    [text] = [part for part in question.parts if isinstance(part, str)]
    [image] = [part for part in question.parts if not isinstance(part, str)]
    assert text.endswith('PROMPT: "what one knows 7"\nEXPLANATION: "it is 7"')
    assert Picture.of(image) == RED
    assert ("First say what you see" in text) == (protocol == "ours")
    assert benchmark.suffixes[0] == ".png" and len(benchmark.suffixes) == (
        1 if protocol == "official" else 4
    )


def test_the_open_judge_is_asked_as_it_was(tmp_path):
    settings = load_benchmark("wise-verified", write_wise(tmp_path, VERIFIED)).settings
    asked = settings.applied(
        OpenAIChatConfig(
            base_urls=("http://127.0.0.1:1/v1",), model="m", extra_body={"seed": 1}, temperature=1
        )
    )
    assert (settings.judge, asked.model, asked.max_tokens) == ("Qwen3.5-35B-A3B", "m", 500)
    assert (asked.temperature, asked.retry_temperature, asked.max_attempts) == (0.0, 0.0, 3)
    assert asked.extra_body == {"chat_template_kwargs": {"enable_thinking": False}, "seed": 1}


# The first WISE.


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        ("Consistency: 2\nRealism: 1\nAesthetic Quality: 0", graded(2, 1, 0, 0.8)),
        ("**Consistency**: 2\n**Realism** 2\n**aesthetic quality**\uff1a2", graded(2, 2, 2, 1.0)),
        ("Consistency 0, Realism 0, Aesthetic Quality 1", graded(0, 0, 1, 0.05)),
        ("Consistency: 0\nConsistency: 1\nRealism: 0\nAesthetic Quality: 0", graded(1, 0, 0, 0.35)),
        ("1\n 2 \n0\n", graded(1, 2, 0, 0.55)),
        ("Consistency: 2/2\nRealism: 1/2\nAesthetic Quality: 0/2", graded(2, 1, 0, 0.8)),
    ],
)
def test_the_official_grades_are_the_digits_behind_their_names(reply, score):
    assert wise_graded.read_official(reply) == score


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "Consistency: 2\nRealism: 1",
        "1\n2",
        "1, 2, 0",
        "Consistency: high\nRealism: 1\nAesthetic Quality: 0",
        # Other scales: the official script would read 5 and 1.
        "Consistency: 5\nRealism: 1\nAesthetic Quality: 0",
        "Consistency: 10\nRealism: 1\nAesthetic Quality: 0",
        "Consistency (0-2): 2\nRealism (0-2): 2\nAesthetic Quality (0-2): 2",
    ],
)
def test_grades_that_are_not_there_or_of_another_scale_are_unparsed(reply):
    assert wise_graded.read_official(reply) is None


def test_our_grades_are_three_lines_after_the_reasons():
    reply = (
        "<think>Consistency: 0</think>A mooncake.\nIts realism is 1 of 2.\n"
        "Consistency: 2\n- nothing\n**Realism:** 1/2\nAesthetic Quality: **2**."
    )
    score = wise_graded.read_ours(reply)
    assert score is not None and score.value == pytest.approx(0.9)
    assert score.reason == "A mooncake.\nIts realism is 1 of 2."


@pytest.mark.parametrize(
    "line",
    [
        "Realism: 3",
        "Realism: 1/5",
        "Realism: 1.5",
        "Realism: -1",
        "Realism: one",
        "Realism: 1\nRealism: 2",
        "Realism: 1 or 2",
        "The realism: 1",
        "",
    ],
)
def test_our_grades_are_asked_for_again_where_one_is_odd(line):
    good = "Consistency: 1\n{}\nAesthetic Quality: 1"
    assert wise_graded.read_ours(good.format("Realism: 1")) is not None
    assert wise_graded.read_ours(good.format(line)) is None


# WISE_Verified.


@pytest.mark.parametrize("reply", ["Score: 1", "1", "**Score**: 1", '{"score": 1}', "Score: 1/1"])
def test_the_official_verdict_is_0_or_1(reply):
    assert wise_verified.read_official(reply) == right(True)
    assert wise_verified.read_official(f"<think>0? Score: 0</think>\n{reply}") == right(True)
    assert wise_verified.read_official(reply.replace("1", "0", 1)) == right(False)


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "2",
        "yes",
        "Score: 2",
        "Score: 0.5",
        "Score: 1/10",
        "Score: 10",
        "Score: 1\nScore: 0",
        "<think>Score: 1",
        "The score is good",
    ],
)
def test_another_scale_or_none_is_unparsed(reply):
    assert wise_verified.read_official(reply) is None
    assert wise_verified.read_ours(reply) is None


def test_our_verdict_comes_last_with_its_reason():
    assert wise_verified.read_ours("No ring.\nScore: 0") == right(False, "No ring.")
    assert wise_verified.read_ours("1") is None


READERS = (
    wise_graded.read_official,
    wise_graded.read_ours,
    wise_verified.read_official,
    wise_verified.read_ours,
)
_WORDS = st.sampled_from(
    (*"012 9:*/{\n\uff1a\u00b2\u0661", "<think>", "</think>", *wise_graded.LABELS, "Score")
)


@given(text=st.text() | st.lists(_WORDS, max_size=30).map("".join))
def test_no_words_are_too_odd_to_be_read(text):
    for read in READERS:
        score = read(text)
        assert score is None or 0 <= score.value <= 1


@pytest.mark.timeout(60)
@pytest.mark.parametrize("filling", [" ", "\n", "*", "Realism", "Score: ", "Consistency: ", "1"])
def test_a_reply_of_100_kb_is_read_at_once(filling):
    # Backtracking over blanks would take time with their square.
    for start in ("", "Consistency", "Score"):
        for read in READERS:
            read(start + filling * 100_000 + "x")


# Files that are not the benchmark's.


def line(name: str, path: Path) -> str:
    with pytest.raises(ValueError) as raised:
        load_benchmark(name, path)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def rewrite(path: Path, rows: list) -> Path:
    path.write_text(json.dumps(rows))
    return path


def test_ids_that_are_missing_doubled_or_out_of_range_are_named(tmp_path):
    rows = wise_rows(LEGACY[CULTURE])
    path = tmp_path / CULTURE
    assert line("wise", rewrite(path, rows[:2] + rows[5:])) == (
        f"{path}: Cultural has no row with prompt_id 3, 4, 5; take the official files of wise as "
        "they are"
    )
    assert "no row with prompt_id 2, 3, 4 and 396 more" in line("wise", rewrite(path, rows[:1]))
    assert line("wise", rewrite(path, [*rows, rows[8]])) == (
        f"{path}: entry 401: id 9 is taken by {path}: entry 9; take the official file as it is"
    )
    assert line("wise", rewrite(path, [rows[0] | {"prompt_id": 1001}])) == (
        f'{path}: entry 1: "prompt_id" is 1001; wants 1 to 1000'
    )
    assert line("wise", rewrite(path, [rows[0] | {"prompt_id": "1"}])) == (
        f"{path}: entry 1: \"prompt_id\" wants a whole number, has '1'"
    )


def test_a_broken_row_is_named(tmp_path):
    rows = wise_rows(LEGACY[CULTURE])
    path = tmp_path / CULTURE
    bare = {key: value for key, value in rows[1].items() if key != "Explanation"}
    assert line("wise", rewrite(path, [rows[0], bare])) == (
        f'{path}: entry 2: has no "Explanation"; take the official file as it is'
    )
    empty = line("wise", rewrite(path, [rows[0] | {"Explanation": " "}]))
    assert empty == f"{path}: entry 1: \"Explanation\" wants a text, has ' '"
    long = line("wise", rewrite(path, [rows[0] | {"Explanation": ["x" * 100_000]}]))
    assert len(long) < len(str(path)) + 450
    half = line("wise", rewrite(path, [rows[0] | {"Prompt": "\ud800"}]))
    assert "half of a surrogate pair" in half
    assert line("wise", rewrite(path, [])).startswith(f"{path}: holds no row")
    path.write_text("[1,")
    assert f"{path}:1: not JSON" in line("wise", path)


def test_a_folder_without_one_of_its_files_is_named(tmp_path):
    write_wise(tmp_path)
    (tmp_path / SCIENCE).unlink()
    assert line("wise", tmp_path) == (
        f"{tmp_path / SCIENCE}: No such file or directory; give the benchmark's official file"
    )


def test_the_other_variants_files_are_told_apart(tmp_path):
    write_wise(tmp_path, VERIFIED)
    merged = [row for ranges in VERIFIED.values() for row in wise_rows(ranges)]
    science = tmp_path / "natural_science_verified.json"
    assert line("wise", science) == (
        f"{science}: a file of WISE_Verified; take the benchmark wise-verified"
    )
    path = rewrite(tmp_path / "merge.json", merged)
    assert line("wise", path) == (
        f"{path}: entry 521: prompt_id 521 is Time in wise, and the row says 'Space'; take that "
        "benchmark's own files"
    )
    assert len(load_benchmark("wise-verified", path).requests) == 1000
    culture = rewrite(tmp_path / CULTURE, wise_rows(LEGACY[CULTURE]))
    assert line("wise-verified", culture) == (
        f"{culture}: a file of the first WISE; take the benchmark wise"
    )


def test_rewritten_prompts_are_marked(tmp_path):
    path = rewrite(tmp_path / "cultural_common_sense_rewrite.json", wise_rows(LEGACY[CULTURE]))
    assert load_benchmark("wise", path).notes == (
        "rewritten prompts, which give the answer away: no figures of WISE itself",
    )
