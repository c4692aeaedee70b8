"""Groups that teach nothing are replaced by freshly sampled ones: dynamic sampling.

DAPO (Yu et al. 2025, arXiv 2503.14476, section 3.2) learns only where attempts at a request differ,
``0 < |{o_i : o_i is right}| < G`` (Eq. 11), and samples until a batch is full of them. Here a
group counts where its rewards differ, which have more than two values. The bound keeps a step from
going on for ever where the agent always, or never, succeeds; what is missing then stays as it was
sampled and adds nothing to the loss, so that a step's mean is always over as many groups.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from genagent_policy import GRPOGroup
from genagent_rollout.agents import RolloutBatch
from genagent_rollout.config import GroupConfig
from genagent_rollout.groups import KeptAttempts
from genagent_rollout.side_by_side import RolloutTimings

Draw = Callable[[int, int], tuple[RolloutBatch, KeptAttempts]]
"""Attempts at so many requests, rewarded. The second number says how often the step has sampled
before: other requests and other seeds each time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DynamicSample:
    """A step's attempts: all that were paid for, and those that are learnt from."""

    batch: RolloutBatch
    """All of them, those of groups that were replaced included."""
    kept: KeptAttempts
    """The same: figures over the groups that teach alone would say that the agent succeeds half of
    the time, whatever it can do."""
    learnable: tuple[GRPOGroup, ...]
    """One group a request, where it has any attempt that could be rewarded."""
    replaced: int
    """Groups in whose place another one was sampled, each time counted."""
    equal: int
    """Groups that still teach nothing."""

    def metrics(self) -> dict[str, float]:
        """How many groups were replaced, and how many the bound has left."""
        return {
            "rollout/replaced_groups": float(self.replaced),
            "rollout/equal_groups": float(self.equal),
        }


def sample_dynamically(draw: Draw, config: GroupConfig) -> DynamicSample:
    """Sample a step's groups, and again in the place of those that teach nothing, up to
    ``config.dynamic_sampling`` times.

    Raises:
        ToolError, RuntimeError: as ``draw`` does.
    """
    drawn = [draw(config.requests_per_step, 0)]
    places = drawn[0][1].by_request()
    replaced = 0
    for again in range(1, config.dynamic_sampling + 1):
        missing = [place for place, group in enumerate(places) if not _teaches(group)]
        if not missing:
            break
        drawn.append(draw(len(missing), again))
        replaced += len(missing)
        for place, group in zip(missing, drawn[-1][1].by_request(), strict=True):
            places[place] = group or places[place]
    return DynamicSample(
        batch=_all_rollouts([batch for batch, _ in drawn]),
        kept=_all_kept([kept for _, kept in drawn]),
        learnable=tuple(group for group in places if group is not None),
        replaced=replaced,
        equal=sum(not _teaches(group) for group in places),
    )


def _teaches(group: GRPOGroup | None) -> bool:
    return group is not None and group.teaches


def _all_rollouts(batches: Sequence[RolloutBatch]) -> RolloutBatch:
    return RolloutBatch(
        rollouts=tuple(rollout for batch in batches for rollout in batch.rollouts),
        timings=RolloutTimings.together([batch.timings for batch in batches]),
    )


def _all_kept(parts: Sequence[KeptAttempts]) -> KeptAttempts:
    return KeptAttempts(
        groups=tuple(group for part in parts for group in part.groups),
        records=tuple(record for part in parts for record in part.records),
        asked=tuple(record for part in parts for record in part.asked),
        anchors=tuple(anchor for part in parts for anchor in part.anchors),
        every=tuple(group for part in parts for group in part.every),
    )
