"""GenEval++: its file, its question, and how replies are read."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.worlds.benchmark_files import geneval_rows, write_lines

from genagent_rewards import ChatRequest, Picture
from genagent_worlds import Benchmark, Protocol_, Score, load_benchmark
from genagent_worlds.benchmarks.geneval_plus import read_json, read_verdict

CARS = {
    "tag": "color_spatial_attr",
    "include": [
        {"class": "car", "count": 2, "color": "red", "region": "above"},
        {"class": "bus", "count": 1, "size": "larger", "color": "blue", "region": "below"},
        {"class": "car", "count": 1, "color": "white", "size": "smaller"},
    ],
    "exclude": [{"class": "car", "count": 4}, {"class": "mug", "count": 1}],
    "prompt": " A photo of two red cars on the above ",
}


def load(path: Path, rows: list[dict], protocol: Protocol_ = "official") -> Benchmark:
    return load_benchmark(
        "geneval++", write_lines(path / "Geneval++.jsonl", rows), protocol=protocol
    )


def with_cars() -> list[dict]:
    return [CARS if row["tag"] == CARS["tag"] else row for row in geneval_rows()]


def asked(benchmark: Benchmark, id: str, picture: Picture) -> ChatRequest:
    request = next(one for one in benchmark.requests if one.id == id)
    return benchmark.question(request, picture)


def noise() -> Picture:
    return Picture.of(Image.effect_noise((32, 32), 90))


def test_requests_are_named_by_their_lines_and_sorted_under_the_papers_columns(tmp_path):
    benchmark = load(tmp_path, with_cars())
    assert [(one.id, one.task) for one in benchmark.requests] == [
        ("1", "Color"),
        ("2", "Count"),
        ("3", "Color/Count"),
        ("4", "Color/Pos"),
        ("5", "Pos/Count"),
        ("6", "Pos/Size"),
        ("7", "Multi-Count"),
    ]
    cars = benchmark.requests[3]
    assert cars.prompt == CARS["prompt"]
    assert cars.hints[0] == "exactly 2 red cars, both in the upper part of the picture"
    assert benchmark.suffixes == (".jpg",)


def test_blank_lines_are_not_counted_as_the_official_script_does_not(tmp_path):
    lines = [json.dumps(row) for row in geneval_rows()]
    path = tmp_path / "gaps.jsonl"
    path.write_text("\n\n".join(lines) + "\n\n")
    benchmark = load_benchmark("geneval++", path)
    assert [one.id for one in benchmark.requests] == [str(n) for n in range(1, 8)]


def test_the_official_judge_gets_the_original_prompt_and_the_official_checklist(tmp_path):
    picture = noise()
    question = asked(load(tmp_path, with_cars()), "4", picture)
    text, image = question.parts
    assert text == (
        "Instruction:\nA photo of two red cars on the above\n\nExpectation checklist:\n"
        "This image should contain:\n"
        "- red-colored 2 cars located in the above part of the image.\n"
        "- blue-colored larger 1 bus located in the below part of the image.\n"
        "- white-colored smaller 1 car present in the image.\n"
        "- No more than 3 cars should appear.\n"
        "- No more than 0 mug should appear."
    )
    assert '"correct"' in question.system
    # It sees what JPEG leaves, as from the official script.
    assert isinstance(image, Image.Image) and image.mode == "RGB"
    assert Picture.of(image) != picture and image.size == (32, 32)


def test_a_prompt_of_100_kb_with_control_characters_is_asked_about_unchanged(tmp_path):
    prompt = "a mug \x00\x1b[31m" + "x" * 100_000
    rows = geneval_rows()
    benchmark = load(tmp_path, [rows[0] | {"prompt": prompt}, *rows[1:]])
    text = asked(benchmark, "1", noise()).parts[0]
    assert isinstance(text, str) and f"Instruction:\n{prompt}\n\n" in text


def test_our_judge_gets_the_pixels_and_plain_english_and_reasons_first(tmp_path):
    picture = noise()
    question = asked(load(tmp_path, with_cars(), "ours"), "4", picture)
    image, text = question.parts
    assert isinstance(image, Image.Image) and Picture.of(image) == picture
    assert isinstance(text, str) and "- exactly 2 red cars, both in the upper part" in text
    assert "red-colored" not in text and "First say what you see" in question.system


@pytest.mark.parametrize(
    ("reply", "passed", "reason"),
    [
        ('{"correct": 1, "reason": "all there"}', True, "all there"),
        ('```json\n{"correct": 0, "reason": "3 {not 2} mugs"}\n```', False, "3 {not 2} mugs"),
        ('Here it is: {"correct": true}.', True, ""),
        ('{"correct": 1.0, "reason": 7}', True, ""),
    ],
)
def test_the_official_reply_is_the_json_in_it(reply, passed, reason):
    assert read_json(reply) == Score(
        value=float(passed), passed=passed, parts={"correct": float(passed)}, reason=reason
    )


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "yes",
        '{"correct": 1',
        '} {"correct',
        '{"reason": "none"}',
        '{"correct": "1"}',
        '{"correct": "yes"}',
        '{"correct": 5}',
        '{"correct": 0.5}',
        '{"correct": NaN}',
        '{"correct": 1} or {"correct": 0}',
        "{" * 100_000 + "}" * 100_000,
        '{"a":' * 100_000 + "1" + "}" * 100_000,
        '{"correct": ' + "9" * 10_000 + "}",
    ],
)
def test_a_reply_without_a_verdict_of_0_or_1_is_unparsed(reply):
    assert read_json(reply) is None


def test_our_reply_is_the_verdict_it_ends_with():
    assert read_verdict("Two mugs.\n<verdict>no</verdict>") == Score(
        value=0.0, passed=False, parts={"correct": 0.0}, reason="Two mugs."
    )
    assert read_verdict('{"correct": 1}') is None
    assert read_verdict("<verdict>yes</verdict> or <verdict>no</verdict>") is None


@given(text=st.text() | st.text('{}":,01correctaso \n`'))
def test_no_words_are_too_odd_to_be_read(text):
    for read in (read_json, read_verdict):
        score = read(text)
        assert score is None or score.value in (0.0, 1.0)


@given(correct=st.sampled_from([0, 1]), reason=st.text(), before=st.text("abc \n`"))
def test_whatever_the_reason_the_verdict_is_read(correct, reason, before):
    score = read_json(before + json.dumps({"correct": correct, "reason": reason}))
    assert score is not None and (score.value, score.reason) == (correct, reason.strip())


def line(path: Path, rows: list[dict]) -> str:
    with pytest.raises(ValueError) as raised:
        load(path, rows)
    assert "\n" not in str(raised.value)
    return str(raised.value).removeprefix(f"{path}/")


def test_a_file_that_is_not_the_benchmarks_is_refused_in_one_line(tmp_path):
    rows = geneval_rows(2)
    assert line(tmp_path, rows[:-1]) == (
        "Geneval++.jsonl: has 1 rows of Multi-Count and 2 of Color; wants as many of each of the "
        "seven tags, 40 in the official file"
    )
    assert line(tmp_path, rows[:12]).startswith("Geneval++.jsonl: has 0 rows of Multi-Count")
    assert line(tmp_path, [rows[0], rows[1] | {"tag": "shape_attr"}]) == (
        "Geneval++.jsonl:2: tag 'shape_attr' is none of GenEval++; known: color_attr, counting, "
        "color_count_attr, color_spatial_attr, spatial_count_attr, size_spatial_attr, "
        "multi_object_count_attr"
    )
    bare = {key: rows[2][key] for key in ("tag", "prompt")}
    assert line(tmp_path, [*rows[:2], bare]) == (
        'Geneval++.jsonl:3: has no "include"; take the official file as it is'
    )
    broken = rows[0] | {"include": [{"class": "mug", "count": "two"}]}
    assert line(tmp_path, [broken]) == (
        "Geneval++.jsonl:1: include[0]: \"count\" wants a whole number from 1, has 'two'"
    )
    huge = rows[0] | {"include": [{"class": "mug", "count": "9" * 100_000}]}
    assert len(line(tmp_path, [huge])) < 500
    assert len(line(tmp_path, [rows[0] | {"tag": "x" * 100_000}])) < 500
    assert line(tmp_path, [rows[0] | {"prompt": 7}]).startswith("Geneval++.jsonl:1: wants an ob")


def test_a_line_that_is_no_json_is_named(tmp_path):
    path = tmp_path / "Geneval++.jsonl"
    path.write_text(json.dumps(geneval_rows()[0]) + "\n{oops\n")
    with pytest.raises(ValueError, match=r"Geneval\+\+\.jsonl:2: not JSON"):
        load_benchmark("geneval++", path)
    path.write_text("")
    with pytest.raises(ValueError, match=r"has 0 rows of Color and 0 of Color"):
        load_benchmark("geneval++", path)
    with pytest.raises(ValueError, match=r"no: No such file or directory; give the benchmark's of"):
        load_benchmark("geneval++", tmp_path / "no")
    with pytest.raises(ValueError, match=r"Is a directory; give the benchmark's official file"):
        load_benchmark("geneval++", tmp_path)


def test_a_name_or_a_protocol_that_is_none_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no benchmark 'geneval'; known: geneval\+\+, wise, "):
        load_benchmark("geneval", tmp_path)
    with pytest.raises(ValueError, match="protocol is 'mine'; wants official or ours"):
        load_benchmark("geneval++", tmp_path, protocol="mine")  # pyright: ignore[reportArgumentType]


def test_the_version_changes_with_whatever_a_figure_depends_on(tmp_path):
    rows = with_cars()
    official, again = load(tmp_path, rows), load(tmp_path, rows)
    assert official.version == again.version and len(official.version) == 12
    others = [
        load(tmp_path, rows, "ours"),
        load(tmp_path, [*rows[:-1], rows[-1] | {"prompt": "another"}]),
        load(tmp_path, [*rows[:-1], rows[-1] | {"include": [{"class": "mug", "count": 2}]}]),
        official.part(6),
    ]
    assert len({official.version, *(one.version for one in others)}) == 5


def test_a_part_takes_the_categories_in_turn_and_says_that_it_is_one(tmp_path):
    benchmark = load(tmp_path, geneval_rows(3))
    part = benchmark.part(9)
    assert [one.id for one in part.requests] == ["1", "2", "4", "5", "7", "10", "13", "16", "19"]
    assert part.notes[-1] == "a part of 9 of 21 requests: not the benchmark's own figures"
    assert benchmark.notes == ("a part of 21 of 280 requests: not the benchmark's own figures",)
    assert benchmark.part(21) is benchmark
    with pytest.raises(ValueError, match="a part of 0 requests"):
        benchmark.part(0)
