"""The attempts at one request while it is decided which of them are kept, and what they come to."""

import random
from collections.abc import Sequence
from typing import NamedTuple

import torch

from genagent_data import Picture, reward_case
from genagent_policy import RewardScale, group_advantages, late_advantages
from genagent_rewards import RewardCase, RewardRecord
from genagent_rollout.act import Rollout
from genagent_rollout.resample import fill_by_rounds, resample_by_rounds
from genagent_rollout.shared_first import is_shared
from genagent_worlds import AttemptRecord, Dropped, GroupRecord


class RequestGroup:
    """Attempts at one request while it is decided which of them are kept."""

    def __init__(
        self, attempts: Sequence[Rollout], keep: int, rng: random.Random, anchor: Picture | None
    ) -> None:
        """
        Args:
            anchor: what its first pictures must beat, where there is one.
        """
        self.attempts = attempts
        self.anchor = anchor
        self._rng = rng
        self.records: dict[int, RewardRecord] = {}
        self._rounds = [len(attempt.trajectory.rounds) for attempt in attempts]
        usable = [
            index
            for index, attempt in enumerate(attempts)
            if attempt.trajectory.ending != "tool_failure"
        ]
        chosen = resample_by_rounds(
            [self._rounds[index] for index in usable], min(keep, len(usable)), rng
        )
        self.kept = [usable[place] for place in chosen]
        self._others = [index for index in usable if index not in self.kept]

    def case(self, index: int) -> RewardCase:
        """What judges are asked about an attempt."""
        return case_of(self.attempts[index], self.anchor)

    def unasked(self) -> list[int]:
        """Those of the kept ones that judges have not been asked about."""
        return [index for index in self.kept if index not in self.records]

    def replace_absent(self) -> None:
        """Keep others in the place of those without a reward, while there are any."""
        present = [index for index in self.kept if self.records[index].breakdown is not None]
        chosen = fill_by_rounds(
            [self._rounds[index] for index in present],
            [self._rounds[index] for index in self._others],
            len(self.kept) - len(present),
            self._rng,
        )
        filled = [self._others[place] for place in chosen]
        self._others = [index for index in self._others if index not in filled]
        self.kept = sorted(present + filled)

    def recorded(self, scale: RewardScale) -> GroupRecord:
        """What became of each attempt."""
        credit = credit_of([self.records[index] for index in self.kept])
        advantages: dict[int, float] = {}
        late: dict[int, float] = {}
        if credit.rewards:
            exact = torch.tensor(credit.rewards, dtype=torch.float64)
            found = group_advantages(exact, scale=scale).tolist()
            advantages = dict(zip(self.kept, found, strict=True))
        if credit.late_rewards is not None:
            later = late_advantages(credit.late_rewards, scale=scale)
            late = {
                index: value
                for index, value, reward in zip(self.kept, later, credit.late_rewards, strict=True)
                if reward is not None
            }
        shared = dict(zip(self.kept, is_shared([self.attempts[i] for i in self.kept]), strict=True))
        return GroupRecord(
            attempts=tuple(
                AttemptRecord(
                    trajectory=attempt.trajectory,
                    turns=attempt.turns,
                    tool_syntax=attempt.tool_syntax,
                    record=self.records.get(index),
                    advantage=advantages.get(index),
                    late_advantage=late.get(index),
                    shared_first=shared.get(index, False),
                    dropped=self._why_dropped(index),
                )
                for index, attempt in enumerate(self.attempts)
            )
        )

    def _why_dropped(self, index: int) -> Dropped | None:
        if index in self.kept:
            return None
        if self.attempts[index].trajectory.ending == "tool_failure":
            return "tool_failure"
        return "absent_verdict" if index in self.records else "resampled"


class Credit(NamedTuple):
    """What a group's kept attempts are learnt from with, as ``GRPOGroup`` has it."""

    rewards: tuple[float, ...]
    late_rewards: tuple[float | None, ...] | None


def credit_of(records: Sequence[RewardRecord]) -> Credit:
    """Of records that all have a reward."""
    breakdowns = [record.breakdown for record in records]
    present = [breakdown for breakdown in breakdowns if breakdown is not None]
    assert len(present) == len(records)  # absent ones are not kept
    late = tuple(breakdown.late for breakdown in present)
    if all(reward is None for reward in late):
        return Credit(tuple(breakdown.total for breakdown in present), None)
    return Credit(tuple(breakdown.early for breakdown in present), late)


def case_of(rollout: Rollout, anchor: Picture | None) -> RewardCase:
    """What judges are asked about an attempt."""
    return reward_case(rollout.trajectory, attempt=rollout.seed, anchor=anchor)
