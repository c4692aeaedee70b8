"""From answers to a scored cell: every picture scored, one of each attempt counted."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager

from genagent_rollout.judging import judging_threads
from genagent_rollout.strategies.selection import Selection, select
from genagent_rollout.strategies.strategy import Answered
from genagent_worlds import (
    EvaluationCell,
    NamedScorer,
    Result,
    Score,
    ScoredAttempt,
    ScoredCell,
    ScoresPictures,
    Tabled,
    diagnose,
)


@contextmanager
def scoring_ahead(scorer: ScoresPictures) -> Iterator[Callable[[Answered], None]]:
    """Told of an attempt that has ended, asks about its pictures while others still run, of a
    scorer that keeps what it has paid for: whoever asks again finds it there. At the end what is
    being asked is waited for, and what went wrong with it raised."""
    asked: list[Future[list[Result]]] = []
    with judging_threads() as threads:
        yield lambda one: asked.append(threads.submit(score_answers, [one], scorer))
        for one in asked:
            one.result()


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
    cell: EvaluationCell,
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
