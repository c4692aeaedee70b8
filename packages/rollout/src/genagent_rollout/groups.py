"""Groups of attempts at one request: sampled, kept so that round counts are even, rewarded."""

import random
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass

from genagent_data import Picture, PictureStore, Request, derive_seed
from genagent_policy import ALONE, GRPOGroup, Ranks, RewardScale
from genagent_rewards import RewardCase, RewardRecord
from genagent_rollout.act import Rollout
from genagent_rollout.agents import RolloutBatch, require_pictures
from genagent_rollout.config import GroupConfig
from genagent_rollout.conversation import Engine
from genagent_rollout.over_ranks import run_over_ranks
from genagent_rollout.request_group import RequestGroup, case_of, credit_of
from genagent_rollout.shared_first import first_seeds, learnt_from
from genagent_tools import AsyncImageTool, ImageTool
from genagent_worlds import GroupRecord

Score = Callable[[Sequence[RewardCase]], Sequence[RewardRecord]]
"""From cases to their rewards, in order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptAttempts:
    """The attempts that are learnt from, request by request."""

    groups: tuple[tuple[Rollout, ...], ...]
    """Of each request; smaller where too few attempts could be rewarded."""
    records: tuple[RewardRecord, ...]
    """Rewards of ``rollouts``, all of them there."""
    asked: tuple[RewardRecord, ...]
    """Of every attempt that judges were asked about, absent ones included."""
    anchors: tuple[Picture | None, ...] = ()
    """Of each request, None where the tool failed; none at all where nobody has drawn any."""
    every: tuple[GroupRecord, ...] = ()
    """All G' attempts at each request for readers, with the advantages that are learnt from."""

    @property
    def rollouts(self) -> list[Rollout]:
        """All of them, group by group."""
        return [rollout for group in self.groups for rollout in group]

    @property
    def cases(self) -> list[RewardCase]:
        """What judges were asked about them."""
        anchors = self.anchors or (None,) * len(self.groups)
        return [
            case_of(rollout, anchor)
            for group, anchor in zip(self.groups, anchors, strict=True)
            for rollout in group
        ]

    def by_request(self) -> list[GRPOGroup | None]:
        """Tokens and rewards of each request's group; None where it is empty."""
        records = iter(self.records)
        return [
            GRPOGroup(
                trajectories=learnt_from(group),
                **credit_of([next(records) for _ in group])._asdict(),
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
        ToolError: as ``require_pictures``.
    """
    repeated = [request for request in requests for _ in range(config.samples)]
    seeds = [derive_seed(seed, "rollout", step, i) for i in range(len(repeated))]
    shared = None
    if config.shared_first:
        each = first_seeds(len(requests), config.shared_first, seed=seed, step=step)
        shared = [first for first in each for _ in range(config.samples)]
    batch = run_over_ranks(
        engine,
        tool,
        repeated,
        seeds=seeds,
        max_rounds=config.max_rounds,
        first_seeds=shared,
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
        threads: Executor | None = None,
        scale: RewardScale = "group",
        anchors: Sequence[Picture | None] | None = None,
    ) -> None:
        """
        Args:
            anchors: of each request, as ``draw_anchors`` gives them, where pairs are anchored.
            scale: of the advantages that readers are shown; the update's own.
            threads: on which judges are asked about a group as soon as its last attempt has ended,
                while others still run; for judges behind endpoints. None: all groups are judged
                together, at the end, as one in this process answers fastest.
        """
        self._score = score
        self._config = config
        self._seed = seed
        self._step = step
        self._scale: RewardScale = scale
        self._anchors = anchors
        self._ended: dict[int, dict[int, Rollout]] = {}
        self._groups: dict[int, RequestGroup] = {}
        self._threads = threads
        self._judging: list[Future[list[RewardRecord]]] = []

    def ended(self, place: int, rollout: Rollout) -> None:
        """Take in the attempt at ``place`` among all, request by request."""
        index, attempt = divmod(place, self._config.samples)
        attempts = self._ended.setdefault(index, {})
        attempts[attempt] = rollout
        if len(attempts) == self._config.samples:
            rng = random.Random(derive_seed(self._seed, "resample", self._step, index))
            ordered = [attempts[place] for place in sorted(attempts)]
            group = RequestGroup(ordered, self._config.keep, rng, self._anchor(index))
            self._groups[index] = group
            if self._threads is not None:
                self._judging.append(self._threads.submit(self._judge, [group]))

    def kept(self, ranks: Ranks = ALONE, batch: RolloutBatch | None = None) -> KeptAttempts:
        """What is learnt from, when all attempts have ended.

        Args:
            ranks: who has sampled and judged together; each judges what it has sampled.
            batch: the attempts of all of them, which several ranks want.

        Raises:
            RuntimeError: of all attempts with pictures, at more than one request, not one could be
                judged; says why the last could not.
        """
        own = [self._groups[index] for index in sorted(self._groups)]
        if self._threads is None:
            asked = self._judge(own)
        else:
            asked = [record for judging in self._judging for record in judging.result()]
        if batch is not None and ranks.size > 1:
            decided = {index: (group.kept, group.records) for index, group in self._groups.items()}
            every = ranks.gather((decided, asked))
            asked = [record for _, theirs in every for record in theirs]
            for index, outcome in (pair for theirs, _ in every for pair in theirs.items()):
                self._groups.setdefault(index, self._decided_elsewhere(index, batch, *outcome))
        groups = [self._groups[index] for index in sorted(self._groups)]
        # An attempt without a picture has its reward from nobody, whatever has become of judges.
        by_request = [
            [
                record
                for index, record in group.records.items()
                if group.attempts[index].trajectory.pictures
            ]
            for group in groups
        ]
        judged = [record for records in by_request for record in records]
        is_outage = all(record.breakdown is None for record in judged)
        # One request alone may be such that the judge says nothing of it, now and ever.
        if is_outage and sum(map(bool, by_request)) > 1:
            reason = judged[-1].error or "the judge does not say why"
            raise RuntimeError(
                f"none of the {len(judged)} attempts with pictures of step {self._step} could be "
                f"judged; the last: {reason}"
            )
        return KeptAttempts(
            groups=tuple(tuple(group.attempts[index] for index in group.kept) for group in groups),
            records=tuple(group.records[index] for group in groups for index in group.kept),
            asked=tuple(asked),
            anchors=() if self._anchors is None else tuple(group.anchor for group in groups),
            every=tuple(group.recorded(self._scale) for group in groups),
        )

    def _anchor(self, index: int) -> Picture | None:
        return None if self._anchors is None else self._anchors[index]

    def _decided_elsewhere(
        self, index: int, batch: RolloutBatch, kept: list[int], records: dict[int, RewardRecord]
    ) -> RequestGroup:
        samples = self._config.samples
        attempts = batch.rollouts[index * samples : (index + 1) * samples]
        group = RequestGroup(attempts, self._config.keep, random.Random(), self._anchor(index))
        group.kept, group.records = kept, records
        return group

    def _judge(self, groups: Sequence[RequestGroup]) -> list[RewardRecord]:
        """Every record that was asked for until each group has what it can have."""
        asked: list[RewardRecord] = []
        while wanted := [(group, index) for group in groups for index in group.unasked()]:
            records = self._score([group.case(index) for group, index in wanted])
            for (group, index), record in zip(wanted, records, strict=True):
                group.records[index] = record
            asked.extend(records)
            for group in groups:
                group.replace_absent()
        return asked
