"""What judges are asked for a batch of trajectories: one call to each judge.

A judge sees each pair in an order chosen by a coin that depends on the seed, the case and the pair
only, so neither the batch nor its order can change a verdict.
"""

import hashlib
import json
from collections.abc import Sequence

from genagent_rewards.picture import Picture
from genagent_rewards.reward_config import RewardConfig
from genagent_rewards.reward_record import ANCHOR, PairRecord, RewardCase
from genagent_rewards.verdict import (
    ComparesPictures,
    JudgesPictures,
    PairQuestion,
    PointQuestion,
    Verdict,
)


def ask_points(
    judge: JudgesPictures, cases: Sequence[RewardCase], *, every_picture: bool = False
) -> list[list[Verdict | None]]:
    """For each case the verdict on its last picture, or on each; none where nothing was drawn.

    Raises:
        ValueError: the judge gave another number of verdicts, or one that answers no question.
    """
    asked = [point_questions(case, every_picture=every_picture) for case in cases]
    questions = [question for own in asked for question in own]
    answers = judge.judge(questions) if questions else []
    _check(answers, len(questions), ("yes", "no"))
    remaining = iter(answers)
    return [[next(remaining) for _ in own] for own in asked]


def ask_pairs(
    judge: ComparesPictures, cases: Sequence[RewardCase], config: RewardConfig, *, seed: int
) -> list[list[PairRecord]]:
    """For each case its comparisons; none where the pair reward is off.

    Raises:
        ValueError: the judge gave another number of verdicts, or one that answers no question.
    """
    if config.single_round == "none":
        return [[] for _ in cases]
    planned = [(case, *place) for case in cases for place in _plan(case, config, seed)]
    questions = [
        pair_question(case, index, swapped)
        for case, index, swapped in planned
        if not _is_same(case, index)
    ]
    answers = judge.compare(questions) if questions else []
    _check(answers, len(questions), ("first", "second", "tie"))
    remaining = iter(answers)
    records: list[list[PairRecord]] = []
    for case in cases:
        records.append([])
        for index, swapped in _plan(case, config, seed):
            is_same = _is_same(case, index)
            verdict = None if is_same else next(remaining)
            later = "first" if swapped else "second"
            win = False if is_same else None if verdict is None else verdict.choice == later
            records[-1].append(PairRecord(index=index, verdict=verdict, swapped=swapped, win=win))
    return records


def point_questions(case: RewardCase, *, every_picture: bool = False) -> list[PointQuestion]:
    """About the last picture, or about each."""
    asked = case.pictures if every_picture else case.pictures[-1:]
    return [
        PointQuestion(request=case.request, hints=case.hints, picture=picture) for picture in asked
    ]


def pair_question(case: RewardCase, index: int, swapped: bool) -> PairQuestion:
    """About the pair of this ``PairRecord.index``."""
    earlier, later = _pair(case, index)
    first, second = (later, earlier) if swapped else (earlier, later)
    return PairQuestion(request=case.request, hints=case.hints, first=first, second=second)


def _plan(case: RewardCase, config: RewardConfig, seed: int) -> list[tuple[int, bool]]:
    """The comparisons of a case, as pair index and whether the later picture comes first."""
    begin = ANCHOR if config.anchored and case.anchor is not None else 0
    plan = []
    for index in range(begin, len(case.pictures) - 1):
        swapped = _coin(seed, case.id, index)
        plan.append((index, swapped))
        if config.both_orders and not _is_same(case, index):
            plan.append((index, not swapped))
    return plan


def _coin(seed: int, case_id: str, index: int) -> bool:
    digest = hashlib.sha256(json.dumps([seed, case_id, index]).encode()).digest()
    return bool(digest[0] & 1)


def _pair(case: RewardCase, index: int) -> tuple[Picture, Picture]:
    earlier = case.anchor if index == ANCHOR else case.pictures[index]
    assert earlier is not None  # no plan has a pair with an anchor that is not there
    return earlier, case.pictures[index + 1]


def _is_same(case: RewardCase, index: int) -> bool:
    earlier, later = _pair(case, index)
    return earlier == later


def _check(answers: Sequence[Verdict | None], asked: int, choices: tuple[str, ...]) -> None:
    if len(answers) != asked:
        raise ValueError(f"the judge was asked {asked} questions and gave {len(answers)} verdicts")
    for answer in answers:
        if answer is not None and answer.choice not in choices:
            raise ValueError(
                f"judge {answer.judge!r} chose {answer.choice!r}; the question wants {choices}"
            )
