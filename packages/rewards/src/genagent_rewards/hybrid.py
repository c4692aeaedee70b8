"""The hybrid reward: does the last picture satisfy the request, and did every round improve on it?

Asks both judges (``asking``) and pays by Eq. 6 and 7 of the paper (``formula``). A verdict that
could not be had makes the whole reward absent, even where the other verdicts would settle it:
rewards known only when they are bad would bias the group's statistics.
"""

from collections.abc import Sequence

from genagent_rewards.asking import ask_pairs, ask_points, pair_question, point_questions
from genagent_rewards.formula import pay
from genagent_rewards.reward_config import RewardConfig
from genagent_rewards.reward_record import PairRecord, RewardCase, RewardRecord
from genagent_rewards.verdict import ComparesPictures, JudgesPictures, Verdict, why_absent


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
        every = self.config.asks_about_every_picture
        points = ask_points(self.point_judge, cases, every_picture=every)
        pairs = ask_pairs(self.pair_judge, cases, self.config, seed=seed)
        return [
            self._record(case, verdicts, records)
            for case, verdicts, records in zip(cases, points, pairs, strict=True)
        ]

    def _record(
        self, case: RewardCase, points: Sequence[Verdict | None], pairs: Sequence[PairRecord]
    ) -> RewardRecord:
        wins = [pair.win for pair in pairs if pair.win is not None]
        known = [verdict for verdict in points if verdict is not None]
        is_absent = len(known) < len(points) or len(wins) < len(pairs)
        breakdown = error = None
        if is_absent:
            error = self._why_absent(case, points, pairs)
        else:
            breakdown = pay(
                self.config,
                passed=[verdict.choice == "yes" for verdict in known],
                pair_wins=wins,
                format_error=case.format_error,
                taken_for_right=case.taken_for_right,
            )
        return RewardRecord(
            breakdown=breakdown,
            point_verdict=points[-1] if points else None,
            pair_verdicts=tuple(pairs),
            picture_verdicts=tuple(points) if self.config.asks_about_every_picture else (),
            error=error,
        )

    def _why_absent(
        self, case: RewardCase, points: Sequence[Verdict | None], pairs: Sequence[PairRecord]
    ) -> str | None:
        every = self.config.asks_about_every_picture
        for verdict, question in zip(
            points, point_questions(case, every_picture=every), strict=True
        ):
            if verdict is None:
                return why_absent(self.point_judge, question)
        missing = next(pair for pair in pairs if pair.win is None)
        return why_absent(self.pair_judge, pair_question(case, missing.index, missing.swapped))
