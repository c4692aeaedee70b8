"""Tables in 80 columns, and what libraries may say."""

import logging

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genagent_tracking import print_table, quiet_libraries

INTERVAL = "0.123 [0.100, 0.200]"


def shown(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line.strip() for line in capsys.readouterr().out.splitlines() if line.strip()]


def test_the_table_of_results_fits_at_its_widest(capsys: pytest.CaptureFixture[str]) -> None:
    names = ("before", "after", "first before", "first after")
    row = {"task": "counterfactual", "n": "450", **dict.fromkeys(names, "100 [93-100]")}
    print_table("success", [row, row])
    lines = shown(capsys)
    assert lines[0] == "success"
    assert lines[-1].split("  ")[0] == "counterfactual"
    assert lines[-1].count("100 [93-100]") == 4


def test_figures_without_room_stand_below_behind_the_same_words(
    capsys: pytest.CaptureFixture[str],
) -> None:
    row = {"file": "benchmarks/kernels.py"} | {f"n = {n}": INTERVAL for n in range(5)}
    print_table("kernels", [row], has_total=False)
    lines = shown(capsys)
    assert max(map(len, lines)) <= 80
    assert sum(line.count(INTERVAL) for line in lines) == 5
    assert sum(line.startswith("benchmarks/kernels.py  ") for line in lines) == 3
    assert "…" not in "".join(lines)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(widths=st.lists(st.integers(1, 12), min_size=1, max_size=16), word=st.integers(1, 38))
def test_every_column_is_there_whole_however_many_there_are(
    capsys: pytest.CaptureFixture[str], widths: list[int], word: int
) -> None:
    row = {"what": "x" * word} | {f"{n:x}": "9" * width for n, width in enumerate(widths)}
    print_table("columns", [row], has_total=False)
    lines = shown(capsys)
    assert max(map(len, lines)) <= 80
    told = [line.split() for line in lines if line.startswith("x" * word)]
    assert {first for first, *_ in told} == {"x" * word}
    assert [figure for _, *figures in told for figure in figures] == list(row.values())[1:]


def test_words_without_room_are_folded_and_markup_in_them_is_text(
    capsys: pytest.CaptureFixture[str],
) -> None:
    what = "the first of two equally good ones [bold] preferred, ties as halves, by qwen-image-mini"
    print_table("a [title]", [{"what": what, "share": "50.0 % [34.1, 65.9]"}], has_total=False)
    lines = shown(capsys)
    assert lines[0] == "a [title]"
    assert max(map(len, lines)) <= 80
    assert " ".join(" ".join(lines[3:]).replace("50.0 % [34.1, 65.9]", "").split()) == what


def test_a_figure_wider_than_the_terminal_is_folded_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    long = " ".join(f"word{number}" for number in range(30))
    print_table("long", [{"file": "a", "said": long}], has_total=False)
    lines = shown(capsys)
    assert max(map(len, lines)) <= 80
    assert " ".join(lines[3:]).split() == ["a", *long.split()]


def test_no_rows_are_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("nothing", [])
    assert shown(capsys)[0] == "nothing"


@pytest.mark.parametrize(
    ("logger", "unwanted"),
    [
        ("transformers.tokenization_utils_base", "Token indices sequence length is longer than 77"),
        (
            "diffusers.pipelines.flux.pipeline_flux",
            "The following part of your input was truncated because CLIP can only handle",
        ),
        ("diffusers.models.modeling_utils", "There are modules in FluxTransformer2DModel that"),
    ],
)
def test_a_known_line_is_kept_away_and_nothing_else_of_its_logger(
    logger: str, unwanted: str, caplog: pytest.LogCaptureFixture
) -> None:
    quiet_libraries()
    log = logging.getLogger(logger)
    log.addHandler(caplog.handler)  # these libraries hand nothing up
    try:
        log.warning(unwanted)
        log.warning("the weights are damaged")
    finally:
        log.removeHandler(caplog.handler)
    assert {record.getMessage() for record in caplog.records} == {"the weights are damaged"}
