"""What ranks sample together, as a process of its own: ``torchrun`` starts it many times.

``python -m tests.rollout.sampling_together POLICY OUT`` writes what they have found into ``OUT``.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from tests.policy.attempts import sampled_groups
from tests.rollout.conversations import PROMPTS, first_turns
from tests.rollout.painting import requests

from genagent_data import PictureStore
from genagent_policy import DistributedConfig, GRPOConfig, GRPOUpdate, Policy, Ranks
from genagent_rollout import EngineConfig, GroupConfig, SamplingConfig, sample_groups, total_counts
from genagent_rollout.conversation import Engine

GREEDY = SamplingConfig(temperature=0, max_turn_tokens=8)
SAMPLED = SamplingConfig(max_turn_tokens=8)


def words(engine: Engine) -> list[str]:
    """What it says to some prompts."""
    said = first_turns(engine, PROMPTS, range(len(PROMPTS)))  # pyright: ignore[reportArgumentType]
    return [turn.text for turn in said]


def places(policy: Policy) -> dict[str, int]:
    """Where each weight is stored."""
    return {name: one.data_ptr() for name, one in policy.model.named_parameters()}


def stored_by(update: GRPOUpdate) -> Iterator[range]:
    """The storage that DeepSpeed's optimizer writes new weights into."""
    for flat in update._optimizer._engine.optimizer.bit16_groups_flat:  # pyright: ignore[reportAttributeAccessIssue]
        yield range(flat.data_ptr(), flat.data_ptr() + flat.numel() * flat.element_size())


def follow(path: Path, ranks: Ranks, out: Path, zero: Any) -> dict[str, Any]:
    """An engine in this process, before and after an update; and that of a checkpoint of it."""
    policy = Policy.load(path)
    update = GRPOUpdate(
        policy,
        GRPOConfig(learning_rate=1e-2),
        ranks=ranks,
        distributed=DistributedConfig(zero=zero),
    )
    engine = EngineConfig(cache_gib=0.1).open(policy, GREEDY, out, ranks)
    before, stored = words(engine), places(policy)
    groups = [
        replace(group, is_here=place % ranks.size == ranks.rank)
        for place, group in enumerate(sampled_groups(Policy.load(path), drift=0.3))
    ]
    update.update(groups)
    engine.publish()
    after = words(engine)
    policy.save(out / f"learnt-{zero}", ranks)
    ranks.gather(None)
    again = Policy.load(out / f"learnt-{zero}")
    found: dict[str, Any] = {
        "before": before,
        "after": after,
        "saved": words(EngineConfig(cache_gib=0.1).open(again, GREEDY, out)),
    }
    if zero < 3:
        learnt = {
            name
            for name, one in policy.model.named_parameters()
            if one.requires_grad and not any(one.data_ptr() in span for span in stored_by(update))
        }
        found |= {"elsewhere": sorted(learnt), "stayed": places(policy) == stored}
    return found


class Slow:
    """A tool in this process."""

    def generate(self, prompts, seeds):
        return [Image.new("RGB", (48, 48), "red") for _ in prompts]


def sample(path: Path, ranks: Ranks, out: Path) -> dict[str, Any]:
    """A step's attempts."""
    engine = EngineConfig(cache_gib=0.1).open(Policy.load(path), SAMPLED, out, ranks)
    own: list[int] = []
    batch = sample_groups(
        engine,
        Slow(),
        requests(6),
        GroupConfig(samples=3, keep=2),
        seed=4,
        step=1,
        pictures=PictureStore(out / "pictures"),
        ended=lambda place, rollout: own.append(place),
        ranks=ranks,
    )
    return {
        "turns": [one.turns for one in batch.rollouts],
        "requests": [one.trajectory.request.id for one in batch.rollouts],
        "here": [place for place, one in enumerate(batch.rollouts) if one.is_here],
        "own": sorted(own),
    }


def main(path: Path, out: Path) -> None:
    ranks = DistributedConfig().join("cpu")
    counted = {"judge/asked": 3.0 + ranks.rank, "judge/absent": 0.0}
    counted |= {"judge/unparsed": 1.0} if ranks.rank else {}
    found = {
        "counted": total_counts(counted, ranks),
        "sampled": sample(path, ranks, out),
        "2": follow(path, ranks, out, 2),
        "3": follow(path, ranks, out, 3),
    }
    (out / f"rank-{ranks.rank}.json").write_text(json.dumps(found))
    ranks.leave()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
