"""Groups of attempts at one request: sampled, kept so that round counts are even, rewarded."""

import random
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import torch

from genagent_data import PictureStore, Request, derive_seed, reward_case
from genagent_policy import ALONE, GRPOGroup, Ranks, RewardScale, group_advantages
from genagent_rewards import RewardCase, RewardRecord
from genagent_rollout.act import Rollout
from genagent_rollout.agents import RolloutBatch, require_pictures
from genagent_rollout.config import GroupConfig
from genagent_rollout.conversation import Engine
from genagent_rollout.over_ranks import run_over_ranks
from genagent_rollout.resample import fill_by_rounds, resample_by_rounds
from genagent_tools import AsyncImageTool, ImageTool
from genagent_worlds import AttemptRecord, Dropped, GroupRecord

Score = Callable[[Sequence[RewardCase]], Sequence[RewardRecord]]
"""From cases to their rewards, in order."""

JUDGED_AT_ONCE = 32
"""Groups whose judges are being asked at the same time; endpoints bound the requests themselves."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptAttempts:
    """The attempts that are learnt from, request by request."""

    groups: tuple[tuple[Rollout, ...], ...]
    """Of each request; smaller where too few attempts could be rewarded."""
    records: tuple[RewardRecord, ...]
    """Rewards of ``rollouts``, all of them there."""
    asked: tuple[RewardRecord, ...]
    """Of every attempt that judges were asked about, absent ones included."""
    every: tuple[GroupRecord, ...] = ()
    """All G' attempts at each request for readers, with the advantages that are learnt from."""

    @property
    def rollouts(self) -> list[Rollout]:
        """All of them, group by group."""
        return [rollout for group in self.groups for rollout in group]

    @property
    def cases(self) -> list[RewardCase]:
        """What judges were asked about them."""
        return [_case(rollout) for rollout in self.rollouts]

    def by_request(self) -> list[GRPOGroup | None]:
        """Tokens and rewards of each request's group; None where it is empty."""
        rewards = iter(r.breakdown.total for r in self.records if r.breakdown is not None)
        return [
            GRPOGroup(
                trajectories=tuple(rollout.tokens for rollout in group),
                rewards=tuple(next(rewards) for _ in group),
                is_here=all(rollout.is_here for rollout in group),
            )
            if group
            else None
            for group in self.groups
        ]

    def learnable(self) -> list[GRPOGroup]:
        """Tokens and rewards of each group that is not empty."""
        return [group for group in self.by_request() if group is not None]


def sample_groups(
    engine: Engine,
    tool: ImageTool | AsyncImageTool,
    requests: Sequence[Request],
    config: GroupConfig,
    *,
    seed: int,
    step: int,
    pictures: PictureStore,
    ended: Callable[[int, Rollout], None] | None = None,
    ranks: Ranks = ALONE,
) -> RolloutBatch:
    """G' attempts at each request, request by request.

    Args:
        ended: told of each attempt that this rank makes as it ends, as ``RewardedGroups.ended``
            wants it.
        ranks: who samples together; all attempts at a request are made by one of them.

    Raises:
        ToolError: the tool drew nothing at all.
    """
    repeated = [request for request in requests for _ in range(config.samples)]
    seeds = [derive_seed(seed, "rollout", step, i) for i in range(len(repeated))]
    batch = run_over_ranks(
        engine,
        tool,
        repeated,
        seeds=seeds,
        max_rounds=config.max_rounds,
        store=pictures,
        ranks=ranks,
        batch=config.draw_batch,
        block=config.samples,
        ended=ended,
    )
    require_pictures(batch.trajectories)
    return batch


class RewardedGroups:
    """G of each request's G' attempts with their rewards, round counts as even as can be.

    Attempts that a failed tool ended are left out before. Where a verdict cannot be had, another
    attempt at the same request is asked about instead, while there is one: absent verdicts and
    failed tools are rare round counts, which would be preferred and then be lost.
    """

    def __init__(
        self,
        score: Score,
        config: GroupConfig,
        *,
        seed: int,
        step: int,
        at_once: bool = False,
        scale: RewardScale = "group",
    ) -> None:
        """
        Args:
            scale: of the advantages that readers are shown; the update's own.
            at_once: judges are asked about a group as soon as its last attempt has ended, on a
                thread, while others still run; for judges behind endpoints. One in this process
                answers all groups together, at the end.
        """
        self._score = score
        self._config = config
        self._seed = seed
        self._step = step
        self._scale: RewardScale = scale
        self._ended: dict[int, dict[int, Rollout]] = {}
        self._groups: dict[int, _Group] = {}
        self._threads = ThreadPoolExecutor(JUDGED_AT_ONCE) if at_once else None
        self._judging: list[Future[list[RewardRecord]]] = []

    def ended(self, place: int, rollout: Rollout) -> None:
        """Take in the attempt at ``place`` among all, request by request."""
        index, attempt = divmod(place, self._config.samples)
        attempts = self._ended.setdefault(index, {})
        attempts[attempt] = rollout
        if len(attempts) == self._config.samples:
            rng = random.Random(derive_seed(self._seed, "resample", self._step, index))
            ordered = [attempts[place] for place in sorted(attempts)]
            group = self._groups[index] = _Group(ordered, self._config.keep, rng)
            if self._threads is not None:
                self._judging.append(self._threads.submit(self._judge, [group]))

    def kept(self, ranks: Ranks = ALONE, batch: RolloutBatch | None = None) -> KeptAttempts:
        """What is learnt from, when all attempts have ended.

        Args:
            ranks: who has sampled and judged together; each judges what it has sampled.
            batch: the attempts of all of them, which several ranks want.

        Raises:
            RuntimeError: no verdict at all could be had; says why the last could not.
        """
        own = [self._groups[index] for index in sorted(self._groups)]
        if self._threads is None:
            asked = self._judge(own)
        else:
            asked = [record for judging in self._judging for record in judging.result()]
            self._threads.shutdown()
        if batch is not None and ranks.size > 1:
            decided = {index: (group.kept, group.records) for index, group in self._groups.items()}
            every = ranks.gather((decided, asked))
            asked = [record for _, theirs in every for record in theirs]
            for index, outcome in (pair for theirs, _ in every for pair in theirs.items()):
                self._groups.setdefault(index, self._decided_elsewhere(index, batch, *outcome))
        groups = [self._groups[index] for index in sorted(self._groups)]
        if asked and all(record.breakdown is None for record in asked):
            reason = asked[-1].error or "the judge does not say why"
            raise RuntimeError(
                f"none of the {len(asked)} attempts of step {self._step} could be judged; the "
                f"last: {reason}"
            )
        return KeptAttempts(
            groups=tuple(tuple(group.attempts[index] for index in group.kept) for group in groups),
            records=tuple(group.records[index] for group in groups for index in group.kept),
            asked=tuple(asked),
            every=tuple(group.recorded(self._scale) for group in groups),
        )

    def _decided_elsewhere(
        self, index: int, batch: RolloutBatch, kept: list[int], records: dict[int, RewardRecord]
    ) -> "_Group":
        samples = self._config.samples
        attempts = batch.rollouts[index * samples : (index + 1) * samples]
        group = _Group(attempts, self._config.keep, random.Random())
        group.kept, group.records = kept, records
        return group

    def _judge(self, groups: Sequence["_Group"]) -> list[RewardRecord]:
        """Every record that was asked for until each group has what it can have."""
        asked: list[RewardRecord] = []
        while wanted := [(group, index) for group in groups for index in group.unasked()]:
            records = self._score([_case(group.attempts[index]) for group, index in wanted])
            for (group, index), record in zip(wanted, records, strict=True):
                group.records[index] = record
            asked.extend(records)
            for group in groups:
                group.replace_absent()
        return asked


class _Group:
    """Attempts at one request while it is decided which of them are kept."""

    def __init__(self, attempts: Sequence[Rollout], keep: int, rng: random.Random) -> None:
        self.attempts = attempts
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

    def unasked(self) -> list[int]:
        return [index for index in self.kept if index not in self.records]

    def replace_absent(self) -> None:
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
        rewards = [_total(self.records[index]) for index in self.kept]
        advantages: dict[int, float] = {}
        if rewards:
            exact = torch.tensor(rewards, dtype=torch.float64)
            found = group_advantages(exact, scale=scale).tolist()
            advantages = dict(zip(self.kept, found, strict=True))
        return GroupRecord(
            attempts=tuple(
                AttemptRecord(
                    trajectory=attempt.trajectory,
                    turns=attempt.turns,
                    tool_syntax=attempt.tool_syntax,
                    record=self.records.get(index),
                    advantage=advantages.get(index),
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


def _total(record: RewardRecord) -> float:
    assert record.breakdown is not None  # absent ones are not kept
    return record.breakdown.total


def _case(rollout: Rollout) -> RewardCase:
    return reward_case(rollout.trajectory, attempt=rollout.seed)
