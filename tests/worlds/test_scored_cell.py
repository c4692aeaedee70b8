"""Which earlier rows of a comparison may stand beside a new one."""

import json
from pathlib import Path

import pytest

from genagent_worlds import BenchmarkTable, EvaluationCell, ScoredCell, earlier_rows


def scored(
    answers: str = "new",
    *,
    benchmark: str = "wise",
    version: str = "v1",
    protocol: str = "official",
    judge: str = "qwen",
) -> ScoredCell:
    return ScoredCell(
        cell=EvaluationCell(
            policy=None, tool="flux", strategy="plain", rounds=1, depends={"answers": answers}
        ),
        judge=judge,
        select="last",
        attempts=(),
        table=BenchmarkTable(
            name=benchmark,
            protocol=protocol,
            version=version,
            measure="accuracy",
            scale="0 to 1",
            rows=(),
            notes=(),
            seed=0,
        ),
        diagnostics={},
    )


def keep(folder: Path, title: str, one: ScoredCell) -> ScoredCell:
    """Its report, with a row that is its title."""
    report = {"row": {"score": title}, **one.figures()}
    (folder / f"{title}.json").write_text(json.dumps(report))
    return one


def titles(folder: Path, *left_out: ScoredCell) -> list[str]:
    rows = earlier_rows(folder, scored(), but={one.cell.digest for one in left_out})
    return [row["score"] for row in rows]


@pytest.mark.parametrize(
    "other",
    [{"benchmark": "imagine"}, {"version": "v2"}, {"protocol": "own"}, {"judge": "gpt"}],
    ids=lambda other: next(iter(other)),
)
def test_only_what_the_same_benchmark_and_judge_have_scored_stands_beside(tmp_path, other):
    keep(tmp_path, "like", scored("one"))
    keep(tmp_path, "likewise", scored("two"))
    keep(tmp_path, "other", scored("three", **other))
    assert titles(tmp_path) == ["like", "likewise"]


def test_who_is_in_the_new_table_is_no_earlier_row(tmp_path):
    new = keep(tmp_path, "new", scored())
    old, older = (keep(tmp_path, title, scored(title)) for title in ("old", "older"))
    assert titles(tmp_path) == ["new", "old", "older"]
    assert titles(tmp_path, new) == ["old", "older"]
    assert titles(tmp_path, new, older) == ["old"]
    assert titles(tmp_path, new, old, older) == []


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"table": 1, "answers": "a", "row": {}}'])
def test_a_file_that_is_no_report_is_named(tmp_path, text):
    keep(tmp_path, "old", scored("old"))
    (tmp_path / "stray.json").write_text(text)
    with pytest.raises(ValueError, match=r"stray\.json is no cell's report"):
        titles(tmp_path)
