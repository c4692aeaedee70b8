"""From answers to a scored cell: every picture scored, one of each attempt counted."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from genagent_rollout.strategies.selection import Selection, select
from genagent_rollout.strategies.strategy import Answered
from genagent_worlds import (
    Cell,
    NamedScorer,
    Result,
    Score,
    ScoredAttempt,
    ScoredCell,
    ScoresPictures,
    Tabled,
    diagnose,
)

AT_ONCE = 32
"""Attempts whose pictures are being scored at a time while others still run; endpoints bound the
questions themselves."""


class ScoringAhead:
    """Asks about an attempt's pictures when it has ended, while others still run, of a scorer that
    keeps what it has paid for: whoever asks again finds it there. Use it in ``with``."""

    def __init__(self, scorer: ScoresPictures) -> None:
        self._scorer = scorer
        self._threads = ThreadPoolExecutor(AT_ONCE)
        self._asked: list[Future[list[Result]]] = []

    def ended(self, one: Answered) -> None:
        """An attempt has ended."""
        self._asked.append(self._threads.submit(score_answers, [one], self._scorer))

    def __enter__(self) -> "ScoringAhead":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Waits for what is being asked; raises what went wrong with it."""
        self._threads.shutdown(wait=True, cancel_futures=kind is not None)
        for asked in () if kind is not None else self._asked:
            asked.result()


def score_answers(answers: Sequence[Answered], scorer: ScoresPictures) -> list[Result]:
    """The score of every picture, answer by answer, all asked in one call.

    Raises:
        ValueError: nothing can be scored.
        OSError: a picture's file cannot be read.
    """
    return scorer.score(
        [
            (answer.trajectory.request, picture)
            for answer in answers
            for picture in answer.trajectory.pictures
        ]
    )


def score_cell(
    cell: Cell,
    answers: Sequence[Answered],
    benchmark: Tabled,
    scorer: NamedScorer,
    *,
    how: Selection,
    selector: ScoresPictures | None = None,
    seed: int,
) -> ScoredCell:
    """A cell's table and diagnostics.

    Args:
        how: which picture of an attempt counts.
        selector: whose scores choose the best one; None: those that are reported, and then "best"
            is an upper bound.
        seed: of the bootstrap.

    Raises:
        ValueError: nothing can be scored.
        OSError: a picture's file cannot be read.
    """
    reported = choosing = score_answers(answers, scorer.scores)
    if how == "best" and selector is not None:
        choosing = score_answers(answers, selector)
    attempts: list[ScoredAttempt] = []
    start = 0
    for answer in answers:
        count = len(answer.trajectory.pictures)
        own = slice(start, start + count)
        start += count
        attempts.append(
            ScoredAttempt(
                trajectory=answer.trajectory,
                turns=answer.turns,
                seconds=answer.seconds,
                results=tuple(reported[own]),
                chosen=select([_value(one) for one in choosing[own]], how) if count else None,
                fallbacks=answer.fallbacks,
            )
        )
    return ScoredCell(
        cell=cell,
        judge=scorer.name,
        select=how if how == "last" or selector is not None else "best, upper bound",
        attempts=tuple(attempts),
        table=benchmark.table(
            {one.trajectory.request.id: one.result for one in attempts}, seed=seed
        ),
        diagnostics=diagnose(attempts, seed=seed),
    )


def _value(result: Result) -> float | None:
    return result.value if isinstance(result, Score) else None
