"""How far the judge agrees with the verifier on held-out pictures drawn by the tools."""

from collections.abc import Sequence
from dataclasses import dataclass

from genagent_building.judge_cases import Case
from genagent_building.report import Figure
from genagent_miniworld.verifier import Verifier
from genagent_rewards import (
    ChatModel,
    PairQuestion,
    PairwiseJudge,
    Picture,
    PointQuestion,
    PointwiseJudge,
)
from genagent_worlds import Rate, rate


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """Answers side by side: whether each was the verifier's; an absent verdict is a mistake."""

    point: tuple[bool, ...]
    pair: tuple[bool, ...]
    """Each pair in both orders."""
    leaning: float
    """P(first) on equal pairs, each in both orders; a tie counts one half."""
    equal: int
    """Number of answers behind ``leaning``."""
    absent: int


def measure(chat: ChatModel, cases: Sequence[Case]) -> Agreement:
    """Ask about each picture alone and each pair in both orders."""
    truth, point_judge, pair_judge = Verifier(), PointwiseJudge(chat), PairwiseJudge(chat)
    points = [
        PointQuestion(
            request=case.request.prompt, hints=case.request.hints, picture=Picture.of(picture)
        )
        for case in cases
        for picture in case.pictures
    ]
    pairs = [
        PairQuestion(
            request=case.request.prompt,
            hints=case.request.hints,
            first=Picture.of(first),
            second=Picture.of(second),
        )
        for case in cases
        for first, second in (case.pictures, case.pictures[::-1])
    ]
    point_answers = [v.choice if v else None for v in point_judge.judge(points)]
    pair_answers = [v.choice if v else None for v in pair_judge.compare(pairs)]
    point_truths = [v.choice for v in truth.judge(points) if v]
    pair_truths = [v.choice for v in truth.compare(pairs) if v]
    leanings = [
        {"first": 1.0, "second": 0.0}.get(answer or "", 0.5)
        for answer, true in zip(pair_answers, pair_truths, strict=True)
        if true == "tie"
    ]
    return Agreement(
        point=tuple(a == t for a, t in zip(point_answers, point_truths, strict=True)),
        pair=tuple(a == t for a, t in zip(pair_answers, pair_truths, strict=True)),
        leaning=sum(leanings) / max(len(leanings), 1),
        equal=len(leanings),
        absent=(point_answers + pair_answers).count(None),
    )


def judge_figures(chat: ChatModel, cases: Sequence[Case], *, drawn_by: str) -> list[Figure]:
    """Agreement with the verifier, and how often the first of two equal pictures is preferred."""
    agreement = measure(chat, cases)
    # A tie is half a first and half a second, so halves are counted to stay whole numbers.
    halves = Rate(hits=round(2 * agreement.leaning * agreement.equal), trials=2 * agreement.equal)
    return [
        Figure(part="judge-mini", what=f"{what}, pictures by {drawn_by}", rate=share)
        for what, share in (
            ("pointwise verdicts that agree with the verifier", rate(agreement.point)),
            ("pairwise verdicts that agree with the verifier", rate(agreement.pair)),
            ("the first of two equally good ones preferred, ties as halves", halves),
        )
    ]
