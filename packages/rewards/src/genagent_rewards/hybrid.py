"""The hybrid reward: does the last picture satisfy the request, and did every round improve on it?

``r = r_point + r_format + lambda * r_pair`` with ``lambda`` 1 where the point reward was earned and
less where it was not (Eq. 6 and 7 of the paper). The pair reward is all or nothing: every picture
must beat the one before it. What a trajectory of one picture earns there, where there is no pair,
the paper leaves open; ``SingleRound`` names the readings.

A judge sees each pair in an order chosen by a coin that depends on the seed, the case and the pair
only, so neither the batch nor its order can change a reward. A verdict that could not be had makes
the whole reward absent, even where the other verdicts would settle it: rewards known only when they
are bad would bias the group's statistics.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from genagent_rewards.picture import Picture
from genagent_rewards.verdict import (
    ComparesPictures,
    JudgesPictures,
    PairQuestion,
    PointQuestion,
    Verdict,
    why_absent,
)

SingleRound = Literal["zero", "literal", "if_passed", "none"]
"""See ``RewardConfig.single_round``."""

_READINGS = ("zero", "literal", "if_passed", "none")


@dataclass(frozen=True, kw_only=True, slots=True)
class RewardConfig:
    """Sizes of the reward's parts. Example: RewardConfig(single_round="zero")"""

    point: float = 0.7
    """Earned where the last picture satisfies the request."""
    format: float = -0.2
    """Paid for a format error."""
    pair: float = 0.3
    """Earned where every picture beats its predecessor."""
    lambda_failed: float = 0.5
    """Factor of the pair reward where the point reward was not earned."""
    single_round: SingleRound = "if_passed"
    """What one picture earns as pair reward: zero, nothing; literal, all of it (the empty "for
    all"); if_passed, all of it where the point reward was earned. none turns the pair reward off
    for every trajectory."""
    both_orders: bool = False
    """Ask each pair in both orders; a win must hold in both."""
    own: str = ""
    """A reward of one's own in place of this one: module:callable, called with both judges and
    these options."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.point) and self.point > 0):
            raise ValueError(f"point is {self.point}; wants a number above 0")
        if not (math.isfinite(self.format) and self.format <= 0):
            raise ValueError(f"format is {self.format}; it is a penalty, at most 0")
        if not (math.isfinite(self.pair) and self.pair >= 0):
            raise ValueError(f"pair is {self.pair}; wants a number of at least 0")
        if not 0 <= self.lambda_failed <= 1:
            raise ValueError(f"lambda_failed is {self.lambda_failed}; wants a factor in [0, 1]")
        if self.single_round not in _READINGS:
            raise ValueError(f"single_round is {self.single_round!r}; known: {_READINGS}")


@dataclass(frozen=True, kw_only=True, slots=True)
class RewardBreakdown:
    """A reward and its parts: ``total = point + format + lambda * pair``."""

    total: float
    point: float
    pair: float
    """Before lambda."""
    format: float


def hybrid_reward(
    *,
    point_passed: bool,
    pair_wins: Sequence[bool],
    format_error: bool,
    single_round: SingleRound = "zero",
    point: float = 0.7,
    format: float = -0.2,
    pair: float = 0.3,
    lambda_failed: float = 0.5,
) -> RewardBreakdown:
    """Eq. 6 and 7 for one trajectory.

    Args:
        point_passed: the last picture satisfies the request.
        pair_wins: for each two consecutive pictures, whether the later is better.
        format_error: the trajectory ended in a format error.
        single_round: what an empty ``pair_wins`` earns.
        point: size of this part, and so the next three, as in ``RewardConfig``.
        format: of a format error.
        pair: of the bonus.
        lambda_failed: the bonus's factor where the point was not earned.

    Raises:
        ValueError: a size is out of range or ``single_round`` is unknown.
    """
    config = RewardConfig(
        point=point,
        format=format,
        pair=pair,
        lambda_failed=lambda_failed,
        single_round=single_round,
    )
    return _breakdown(config, point_passed, pair_wins, format_error)


def _breakdown(
    config: RewardConfig, point_passed: bool, pair_wins: Sequence[bool], format_error: bool
) -> RewardBreakdown:
    if config.single_round == "none":
        won = False
    elif pair_wins:
        won = all(pair_wins)
    else:
        won = config.single_round == "literal" or (
            config.single_round == "if_passed" and point_passed
        )
    point = config.point if point_passed else 0.0
    format = config.format if format_error else 0.0
    pair = config.pair if won else 0.0
    factor = 1.0 if point_passed else config.lambda_failed
    return RewardBreakdown(
        total=point + format + factor * pair, point=point, pair=pair, format=format
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class RewardCase:
    """What is to be judged of one trajectory.

    Example: ``RewardCase(id="train-7/3", request="three red circles", hints=(),
    pictures=(Picture.of(image),), format_error=False)``
    """

    id: str
    """Names the trajectory; the order of its comparisons derives from it."""
    request: str
    """The user's words, never the agent's prompt."""
    hints: tuple[str, ...]
    pictures: tuple[Picture, ...]
    """In the order drawn; the last is the output."""
    format_error: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class PairRecord:
    """One comparison of two consecutive pictures."""

    index: int
    """0 compares the first two pictures."""
    verdict: Verdict | None
    """None where nothing was asked (the same picture twice) or no verdict could be had."""
    swapped: bool
    """The judge saw the later picture first."""
    win: bool | None
    """The later picture was preferred; None where no verdict could be had."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RewardRecord:
    """A reward with the verdicts it rests on."""

    breakdown: RewardBreakdown | None
    """None: absent, because a verdict could not be had."""
    point_verdict: Verdict | None
    """None where there was no picture to ask about, or no verdict could be had."""
    pair_verdicts: tuple[PairRecord, ...] = ()
    """One record a pair, or two with ``both_orders``; none where the pair reward is off."""
    error: str | None = None
    """Why the reward is absent, where the judge says."""


class Reward(Protocol):
    """What attempts earn."""

    def score(self, cases: Sequence[RewardCase], *, seed: int) -> list[RewardRecord]:
        """A record for each case, in order. The same case and seed earn the same, whatever else is
        asked in the same call or before; asked on several threads where judges are endpoints."""
        ...


class HybridReward:
    """Rewards for a batch of trajectories, with one call to each judge."""

    def __init__(
        self,
        point_judge: JudgesPictures,
        pair_judge: ComparesPictures,
        config: RewardConfig | None = None,
    ) -> None:
        self.point_judge = point_judge
        self.pair_judge = pair_judge
        self.config = RewardConfig() if config is None else config

    def score(self, cases: Sequence[RewardCase], *, seed: int) -> list[RewardRecord]:
        """A record for each case, in order; ``seed`` decides the order within each pair.

        Raises:
            ValueError: a judge returned another number of verdicts than it was asked, or a choice
                that does not answer the question.
        """
        point_verdicts = self._ask_points(cases)
        pair_records = self._ask_pairs(cases, seed)
        return [
            self._record(case, point_verdict, records)
            for case, point_verdict, records in zip(
                cases, point_verdicts, pair_records, strict=True
            )
        ]

    def _ask_points(self, cases: Sequence[RewardCase]) -> list[Verdict | None]:
        questions = [_point_question(case) for case in cases if case.pictures]
        answers = self.point_judge.judge(questions) if questions else []
        _check(answers, len(questions), ("yes", "no"))
        remaining = iter(answers)
        return [next(remaining) if case.pictures else None for case in cases]

    def _ask_pairs(self, cases: Sequence[RewardCase], seed: int) -> list[list[PairRecord]]:
        if self.config.single_round == "none":
            return [[] for _ in cases]
        planned = [
            (case, index, swapped) for case in cases for index, swapped in self._plan(case, seed)
        ]
        questions = [
            _pair_question(case, index, swapped)
            for case, index, swapped in planned
            if not _is_same(case, index)
        ]
        answers = self.pair_judge.compare(questions) if questions else []
        _check(answers, len(questions), ("first", "second", "tie"))
        remaining = iter(answers)
        records: list[list[PairRecord]] = []
        for case in cases:
            records.append([])
            for index, swapped in self._plan(case, seed):
                is_same = _is_same(case, index)
                verdict = None if is_same else next(remaining)
                later = "first" if swapped else "second"
                win = False if is_same else None if verdict is None else verdict.choice == later
                records[-1].append(
                    PairRecord(index=index, verdict=verdict, swapped=swapped, win=win)
                )
        return records

    def _plan(self, case: RewardCase, seed: int) -> list[tuple[int, bool]]:
        """The comparisons of a case, as pair index and whether the later picture comes first."""
        plan = []
        for index in range(len(case.pictures) - 1):
            swapped = _coin(seed, case.id, index)
            plan.append((index, swapped))
            if self.config.both_orders and not _is_same(case, index):
                plan.append((index, not swapped))
        return plan

    def _record(
        self, case: RewardCase, point_verdict: Verdict | None, pairs: list[PairRecord]
    ) -> RewardRecord:
        wins = [pair.win for pair in pairs if pair.win is not None]
        is_absent = (case.pictures and point_verdict is None) or len(wins) < len(pairs)
        breakdown = error = None
        if is_absent:
            error = self._why_absent(case, point_verdict, pairs)
        elif case.pictures:
            passed = point_verdict is not None and point_verdict.choice == "yes"
            breakdown = _breakdown(self.config, passed, wins, case.format_error)
        else:
            # Not even the literal reading rewards a trajectory that drew nothing.
            breakdown = _breakdown(self.config, False, [False], case.format_error)
        return RewardRecord(
            breakdown=breakdown,
            point_verdict=point_verdict,
            pair_verdicts=tuple(pairs),
            error=error,
        )

    def _why_absent(
        self, case: RewardCase, point_verdict: Verdict | None, pairs: list[PairRecord]
    ) -> str | None:
        if point_verdict is None:
            return why_absent(self.point_judge, _point_question(case))
        missing = next(pair for pair in pairs if pair.win is None)
        return why_absent(self.pair_judge, _pair_question(case, missing.index, missing.swapped))


def _coin(seed: int, case_id: str, index: int) -> bool:
    digest = hashlib.sha256(json.dumps([seed, case_id, index]).encode()).digest()
    return bool(digest[0] & 1)


def _is_same(case: RewardCase, index: int) -> bool:
    return case.pictures[index] == case.pictures[index + 1]


def _point_question(case: RewardCase) -> PointQuestion:
    return PointQuestion(request=case.request, hints=case.hints, picture=case.pictures[-1])


def _pair_question(case: RewardCase, index: int, swapped: bool) -> PairQuestion:
    earlier, later = case.pictures[index], case.pictures[index + 1]
    first, second = (later, earlier) if swapped else (earlier, later)
    return PairQuestion(request=case.request, hints=case.hints, first=first, second=second)


def _check(answers: Sequence[Verdict | None], asked: int, choices: tuple[str, ...]) -> None:
    if len(answers) != asked:
        raise ValueError(f"the judge was asked {asked} questions and gave {len(answers)} verdicts")
    for answer in answers:
        if answer is not None and answer.choice not in choices:
            raise ValueError(
                f"judge {answer.judge!r} chose {answer.choice!r}; the question wants {choices}"
            )
