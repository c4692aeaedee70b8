"""A reward of your own: the hybrid one of the paper, less a price for every further picture.

    uv run experiments/rl_flux.py smoke --reward.own examples.your_reward:Thrifty

It is given both judges and the options ``--reward.…``, asks whom it likes, and is told a request,
its hints and the pictures of an attempt: never the agent's words.
"""

from collections.abc import Sequence
from dataclasses import replace

from genagent_rewards import (
    ComparesPictures,
    HybridReward,
    JudgesPictures,
    RewardCase,
    RewardConfig,
    RewardRecord,
)

PRICE = 0.05


class Thrifty:
    """See ``Reward``."""

    def __init__(self, point: JudgesPictures, pair: ComparesPictures, config: RewardConfig) -> None:
        self.hybrid = HybridReward(point, pair, config)

    def score(self, cases: Sequence[RewardCase], *, seed: int) -> list[RewardRecord]:
        """A record for each case; one without a reward, as a verdict is missing, stays absent."""
        records = self.hybrid.score(cases, seed=seed)
        return [_priced(case, record) for case, record in zip(cases, records, strict=True)]


def _priced(case: RewardCase, record: RewardRecord) -> RewardRecord:
    if record.breakdown is None:
        return record
    total = record.breakdown.total - PRICE * max(len(case.pictures) - 1, 0)
    return replace(record, breakdown=replace(record.breakdown, total=total))
