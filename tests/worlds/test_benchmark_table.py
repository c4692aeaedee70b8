"""The arithmetic of benchmarks: published overall figures from published categories, intervals, and
what becomes of requests without a score."""

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.worlds.benchmark_files import (
    LEGACY,
    VERIFIED,
    all_at,
    first_right,
    geneval_rows,
    ids_of,
    imagine_rows,
    passed_or_not,
    write_lines,
    write_wise,
)

from genagent_data import Request
from genagent_worlds import Benchmark, Result, Score, TaskBenchmark, load_benchmark

WISE_COLUMNS = ("Cultural", "Time", "Space", "Biology", "Physics", "Chemistry")


@pytest.fixture(scope="module")
def geneval(tmp_path_factory) -> Benchmark:
    path = write_lines(tmp_path_factory.mktemp("geneval") / "rows.jsonl", geneval_rows(40))
    return load_benchmark("geneval++", path)


@pytest.fixture(scope="module")
def imagine(tmp_path_factory) -> Benchmark:
    path = write_lines(tmp_path_factory.mktemp("imagine") / "rows.jsonl", imagine_rows(30))
    return load_benchmark("imagine", path)


@pytest.fixture(scope="module")
def wise(tmp_path_factory) -> Benchmark:
    return load_benchmark("wise", write_wise(tmp_path_factory.mktemp("wise"), LEGACY))


@pytest.fixture(scope="module")
def verified(tmp_path_factory) -> Benchmark:
    folder = write_wise(tmp_path_factory.mktemp("verified"), VERIFIED)
    return load_benchmark("wise-verified", folder)


def overall(benchmark: Benchmark, results: Mapping[str, Result]) -> float:
    row = benchmark.table(results).overall
    assert row is not None and row.value is not None
    return row.value


# Echo-4o, Eval.md: the example outputs of both scripts.


def test_geneval_plus_gives_the_official_example_from_its_seven_counts(geneval):
    counts = {
        "Color": 34,
        "Pos/Count": 25,
        "Color/Pos": 25,
        "Color/Count": 30,
        "Multi-Count": 34,
        "Pos/Size": 31,
        "Count": 26,
    }
    table = geneval.table(first_right(geneval, counts))
    assert [(row.category, row.value) for row in table.rows[:-1]] == [
        ("Color", 0.85),
        ("Count", 0.65),
        ("Color/Count", 0.75),
        ("Color/Pos", 0.625),
        ("Pos/Count", 0.625),
        ("Pos/Size", 0.775),
        ("Multi-Count", 0.85),
    ]
    assert table.overall is not None and round(100 * (table.overall.value or 0), 2) == 73.21


def test_imagine_gives_the_official_example_from_its_four_categories(imagine):
    means = {
        "Attribute Shift": 8.821,
        "Hybridization": 9.339,
        "Spatiotemporal": 8.377,
        "Multi-Object": 7.813,
    }
    assert round(overall(imagine, all_at(imagine, means)), 3) == 8.613


# PKU-YuanGroup/WISE, README and leadboard.md. (Two of the README's 32 rows contradict themselves:
# BAGEL's columns make .501 instead of .52, OpenUni-B-512's .419 instead of .43.)
WISE_BOARD = {
    "FLUX.1-dev": (0.48, 0.58, 0.62, 0.42, 0.51, 0.35, 0.50),
    "FLUX.1-schnell": (0.39, 0.44, 0.50, 0.31, 0.44, 0.26, 0.40),
    "PixArt-Alpha": (0.45, 0.50, 0.48, 0.49, 0.56, 0.34, 0.47),
    "SD-3.5-large": (0.44, 0.50, 0.58, 0.44, 0.52, 0.31, 0.46),
    "GPT4o": (0.81, 0.71, 0.89, 0.83, 0.79, 0.74, 0.80),
    "Qwen-Image": (0.62, 0.63, 0.77, 0.57, 0.75, 0.40, 0.62),
    "UniWorld-V1": (0.53, 0.55, 0.73, 0.45, 0.59, 0.41, 0.55),
    "Janus-Pro-7B": (0.30, 0.37, 0.49, 0.36, 0.42, 0.26, 0.35),
}
VERIFIED_BOARD = {
    "NanoBanana-Pro": (0.8975, 0.8167, 0.9333, 0.8167, 0.8667, 0.8750, 0.8760),
    "GPT-Image-1.5": (0.8900, 0.6917, 0.8833, 0.8000, 0.7583, 0.7750, 0.8250),
    "QwenImage": (0.6275, 0.5250, 0.5583, 0.3417, 0.4833, 0.2500, 0.5100),
    "FLUX.2-klein-9B": (0.4900, 0.3917, 0.5500, 0.3833, 0.4833, 0.2250, 0.4400),
    "FLUX.1-dev": (0.5225, 0.4000, 0.5333, 0.1750, 0.3750, 0.2417, 0.4160),
}


@pytest.mark.parametrize("model", WISE_BOARD)
def test_wise_gives_its_leaderboard_from_the_six_categories(wise, model):
    *columns, published = WISE_BOARD[model]
    got = overall(wise, all_at(wise, dict(zip(WISE_COLUMNS, columns, strict=True))))
    # The columns are rounded to two places, each with a share of the sum: half a place in all.
    assert abs(got - published) <= 0.01


@pytest.mark.parametrize("model", VERIFIED_BOARD)
def test_wise_verified_gives_its_leaderboard_from_what_was_right(verified, model):
    *columns, published = VERIFIED_BOARD[model]
    sizes = (400, 120, 120, 120, 120, 120)
    counts = {
        name: round(size * column)
        for name, size, column in zip(WISE_COLUMNS, sizes, columns, strict=True)
    }
    table = verified.table(first_right(verified, counts))
    assert [round(row.value or 0, 4) for row in table.rows] == [*columns, published]


# GenAgent, Table 2: .325, .561 and .725 are 91, 157 and 203 of 280, however they lie over the tags.


@settings(max_examples=20, deadline=None)
@given(data=st.data(), total=st.sampled_from([(91, 0.325), (157, 0.561), (203, 0.725)]))
def test_geneval_plus_gives_the_papers_overall_figures(geneval, data, total):
    right, published = total
    ids = [request.id for request in geneval.requests]
    chosen = set(data.draw(st.permutations(ids))[:right])
    results = {one: passed_or_not(one in chosen) for one in ids}
    assert round(overall(geneval, results), 3) == published


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_imagines_overall_figure_is_the_mean_over_its_requests(imagine, data):
    drawn = data.draw(st.lists(st.integers(0, 50), min_size=270, max_size=270))
    results = {one.id: Score(value=n / 5) for one, n in zip(imagine.requests, drawn, strict=True)}
    assert overall(imagine, results) == pytest.approx(sum(drawn) / 5 / 270)


# Requests without a score.


@pytest.mark.parametrize("absence", ["missing", "unparsed", "failed"])
@pytest.mark.parametrize("name", ["geneval", "imagine"])
def test_echo_4os_benchmarks_count_an_absent_score_as_nothing(request, name, absence):
    benchmark = request.getfixturevalue(name)
    results: dict[str, Result] = {one.id: passed_or_not(True) for one in benchmark.requests}
    category, ids = next(iter(ids_of(benchmark).items()))
    results[ids[0]] = absence
    table = benchmark.table(results)
    row = next(row for row in table.rows if row.category == category)
    assert row.value == pytest.approx(1 - 1 / len(ids)) and row.n == len(ids)
    assert getattr(row, absence) == getattr(table.rows[-1], absence) == 1
    assert f"1 of {len(results)} {absence}: counted as 0" in table.notes


def test_a_request_without_a_result_is_missing(geneval):
    results = {one.id: passed_or_not(True) for one in geneval.requests[1:]}
    assert geneval.table(results).rows[-1].missing == 1


def test_wise_gives_no_overall_figure_while_a_score_is_absent(wise):
    results: dict[str, Result] = {**all_at(wise, dict.fromkeys(WISE_COLUMNS, 0.5))}
    results["1"] = "missing"
    results["1000"] = "unparsed"
    table = wise.table(results)
    assert table.overall is None and [row.category for row in table.rows] == list(WISE_COLUMNS)
    assert (table.rows[0].value, table.rows[0].missing, table.rows[0].n) == (0.5, 1, 400)
    assert table.notes[-1].startswith("no overall figure: 2 of 1000 requests have no score")


def test_our_wise_counts_them_as_nothing(tmp_path):
    ours = load_benchmark("wise", write_wise(tmp_path), protocol="ours")
    results: dict[str, Result] = {**all_at(ours, dict.fromkeys(WISE_COLUMNS, 0.5))}
    results |= dict.fromkeys((str(number) for number in range(1, 101)), "failed")
    table = ours.table(results)
    assert table.rows[0].value == 0.375 and table.rows[0].failed == 100
    assert overall(ours, results) == pytest.approx(0.5 - 0.4 * 0.125)


def test_wise_verified_leaves_them_out_and_says_so(verified):
    results: dict[str, Result] = {one.id: passed_or_not(True) for one in verified.requests}
    results["1"] = "failed"
    table = verified.table(results)
    assert table.rows[0].value == 1.0 and table.rows[0].failed == 1
    assert table.overall is not None and table.overall.value == pytest.approx(1.0)
    assert table.notes == ("1 of 1000 failed: left out",)
    results |= {str(number): "failed" for number in range(401, 521)}
    without = verified.table(results)
    assert without.overall is None and without.rows[1].value is None
    assert without.rows[1].interval is None and without.as_rows()[1]["accuracy"] == "-"
    assert without.notes[-1] == "no overall figure: nothing has a score in Time"


def test_one_file_of_wise_has_its_own_categories_and_no_overall_figure(tmp_path):
    write_wise(tmp_path)
    part = load_benchmark("wise", tmp_path / "spatio-temporal_reasoning.json")
    table = part.table(all_at(part, {"Time": 0.25, "Space": 0.75}))
    assert [(row.category, row.value, row.n) for row in table.rows] == [
        ("Time", 0.25, 167),
        ("Space", 0.75, 133),
    ]
    assert table.notes == (
        "no overall figure: there are no requests of Cultural, Biology, Physics, Chemistry",
    )


def test_a_result_of_no_request_is_refused(geneval):
    with pytest.raises(ValueError, match=r"result for 'x', which is no request of geneval\+\+"):
        geneval.table({"x": passed_or_not(True)})


# Intervals.


def test_intervals_are_the_same_for_a_seed_and_hold_the_value(imagine):
    results = {one.id: Score(value=float(int(one.id) % 11)) for one in imagine.requests}
    first, again, other = (imagine.table(results, seed=seed) for seed in (0, 0, 1))
    assert first == again and first.rows != other.rows
    for row in first.rows:
        assert row.interval is not None and row.value is not None
        assert row.interval[0] < row.value < row.interval[1]
    # Standard errors: 3.16 over the root of 270, and of 60.
    low, high = first.rows[-1].interval or (0, 0)
    assert high - low == pytest.approx(2 * 1.96 * 3.16 / 270**0.5, rel=0.1)
    low, high = first.rows[-2].interval or (0, 0)
    assert high - low == pytest.approx(2 * 1.96 * 3.16 / 60**0.5, rel=0.15)


def test_the_overall_interval_draws_within_categories(imagine):
    # All that varies is between the categories, which are given.
    results = all_at(imagine, {"Attribute Shift": 2, "Hybridization": 4, "Spatiotemporal": 6,
                               "Multi-Object": 8})  # fmt: skip
    low, high = imagine.table(results).rows[-1].interval or (0, 0)
    assert low == high == pytest.approx((2 * 3 + 4 * 2 + 6 * 2 + 8 * 2) / 9)


def test_a_share_of_all_is_no_certainty(geneval):
    table = geneval.table({one.id: passed_or_not(True) for one in geneval.requests})
    low, high = table.rows[0].interval or (0, 0)
    assert (round(low, 3), high) == (0.912, 1.0)  # Wilson's, 40 of 40
    low, high = table.rows[-1].interval or (0, 0)
    assert (round(low, 3), high) == (0.986, 1.0)  # 280 of 280


# The table as it is shown and kept.


def test_a_table_says_what_it_is_of(geneval):
    results: dict[str, Result] = {**first_right(geneval, dict.fromkeys(ids_of(geneval), 30))}
    results["280"] = "unparsed"
    table = geneval.table(results)
    assert table.title == (
        f"geneval++, protocol official, version {geneval.version}: accuracy, 0 to 1"
    )
    assert table.as_rows()[0] == {
        "category": "Color",
        "n": "40",
        "accuracy": "0.750",
        "95 %": "[0.598, 0.858]",
        "missing": "0",
        "unparsed": "0",
        "failed": "0",
    }
    figures = table.figures()
    assert figures["version"] == geneval.version and figures["bootstrap_seed"] == 0
    assert figures["notes"] == ["1 of 280 unparsed: counted as 0"]
    categories = figures["categories"]
    assert isinstance(categories, dict) and categories["overall"]["value"] == 0.75
    assert categories["overall"]["unparsed"] == 1 and len(categories) == 8


# Requests without a benchmark around them.


def test_tasks_of_a_world_are_shares_and_the_overall_one_is_of_all_requests():
    requests = tuple(
        Request(id=str(n), prompt=f"p{n}", task="b" if n < 6 else "a") for n in range(8)
    )
    benchmark = TaskBenchmark(name="miniature", requests=requests, source="truth")
    results: dict[str, Result] = {str(n): passed_or_not(n % 2 == 0) for n in range(5)}
    results |= {"5": "failed", "6": "missing", "7": passed_or_not(True)}
    table = benchmark.table(results)
    assert (table.measure, [row.category for row in table.rows]) == (
        "success",
        ["b", "a", "overall"],
    )
    # A verdict that could not be had is no trial; no picture is no success.
    assert [row.value for row in table.rows] == [0.6, 0.5, 4 / 7]
    assert [round(limit, 3) for limit in table.rows[-1].interval or ()] == [0.25, 0.842]
    assert TaskBenchmark(name="requests", requests=requests).table(results).measure == (
        "judged success"
    )
    assert benchmark.part(2).requests == (requests[0], requests[6])
    assert benchmark.part(2).version != benchmark.version == benchmark.part(8).version
