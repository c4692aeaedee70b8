"""Answers scored: which picture counts, and by whose word."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from tests.rollout.painting import Painter, requests

from genagent_data import PictureStore
from genagent_rollout import BestOfN, answer_all, score_cell, scoring_ahead
from genagent_worlds import EvaluationCell, NamedScorer, Result, Score, TaskBenchmark, paired_gain

CELL = EvaluationCell(
    policy=None, tool="painter", strategy="best-of", rounds=3, depends={"tool": "painter"}
)


class ByNumber:
    """Passes the pictures at these places among all it is ever shown first."""

    def __init__(self, *passing: int) -> None:
        self.passing = passing
        self.known: dict[str, bool] = {}
        self.lock = threading.Lock()

    def score(self, items, *, arrived=None) -> list[Result]:
        with self.lock:
            for _, picture in items:
                self.known.setdefault(picture.name, len(self.known) in self.passing)
            return [
                Score(value=float(self.known[p.name]), passed=self.known[p.name]) for _, p in items
            ]


def answers(folder: Path, count: int = 2):
    return answer_all(
        BestOfN(3), Painter(), requests(count), seeds=range(count), store=PictureStore(folder)
    )


def score(folder: Path, scorer, how, selector=None):
    benchmark = TaskBenchmark(name="miniature", requests=tuple(requests(2)), source="truth")
    named = NamedScorer(name="by number", scores=scorer, at_once=False)
    return score_cell(CELL, answers(folder), benchmark, named, how=how, selector=selector, seed=0)


def test_the_last_picture_counts_or_the_best_one_as_an_upper_bound(tmp_path: Path):
    last = score(tmp_path, ByNumber(1, 5), "last")
    assert [one.chosen for one in last.attempts] == [2, 2]
    assert last.table.overall is not None and last.table.overall.value == 0.5
    best = score(tmp_path, ByNumber(1, 5), "best")
    assert [one.chosen for one in best.attempts] == [1, 2]
    assert best.table.overall is not None and best.table.overall.value == 1.0
    assert (last.select, best.select) == ("last", "best, upper bound")


def test_rewrites_that_could_not_be_read_are_shown_where_there_are_some(tmp_path: Path):
    one, other = answers(tmp_path)
    benchmark = TaskBenchmark(name="miniature", requests=tuple(requests(2)), source="truth")
    named = NamedScorer(name="by number", scores=ByNumber(0), at_once=False)

    def shown(*answers):
        cell = score_cell(CELL, answers, benchmark, named, how="last", seed=0)
        return cell.diagnostics.get("fallbacks")

    found = shown(one, replace(other, fallbacks=1))
    assert found is not None and (found.value, found.n) == (0.5, 2)
    assert shown(one, other) is None


def test_another_judge_may_choose_and_be_wrong(tmp_path: Path):
    found = score(tmp_path, ByNumber(1, 5), "best", selector=ByNumber(0, 5))
    assert [one.chosen for one in found.attempts] == [0, 2]
    assert found.table.overall is not None and found.table.overall.value == 0.5
    assert (found.select, found.judge) == ("best", "by number")
    assert found.row() == {
        "tool": "painter",
        "policy": "-",
        "strategy": "best of 3",
        "score": ".500 [.095, .905]",
        "first": ".000",
        "gain": "+.500",
        "drawn": "3.00",
    }


def test_what_goes_wrong_while_others_run_is_said_at_the_end(tmp_path: Path):
    class Away:
        def score(self, items, *, arrived=None):
            raise ValueError("no endpoint accepts requests")

    [one] = answers(tmp_path, 1)
    with pytest.raises(ValueError, match="no endpoint accepts"), scoring_ahead(Away()) as ended:
        ended(one)


def test_a_pair_differs_by_the_way_alone_and_no_picture_is_worth_nothing(tmp_path: Path):
    best = score(tmp_path, ByNumber(1, 5), "best")
    last = score(tmp_path, ByNumber(1, 5), "last")
    gain = paired_gain(best, last)
    assert gain is not None and (gain.value, gain.n) == (0.5, 2)
    lacking = replace(last.attempts[0], chosen=None)
    gain = paired_gain(best, replace(last, attempts=(lacking, last.attempts[1])))
    assert gain is not None and (gain.value, gain.n) == (0.5, 2)
    unknown = replace(last.attempts[0], results=("failed",) * 3)
    gain = paired_gain(best, replace(last, attempts=(unknown, last.attempts[1])))
    assert gain is not None and (gain.value, gain.n) == (0.0, 1)
