"""What ranks learn together, as a process of its own: ``torchrun`` starts it many times.

``python -m tests.policy.learning_together POLICY OUT STAGE…`` writes what each stage has learnt
into the folder ``OUT``; started by no launcher, it learns alone.
"""

import json
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from tests.policy.attempts import sampled_groups

from genagent_policy import DistributedConfig, GRPOConfig, GRPOUpdate, Policy, SFTConfig, SFTUpdate
from genagent_policy.adapter import LoRA
from genagent_policy.ranks import Ranks
from genagent_policy.shared_weights import gathered
from genagent_policy.tokens import TokenTrajectory

STEPS = 2
DONE = "<judge>j</judge><answer>done</answer>"
BOTH = LoRA(rank=2, alpha=8.0, part="both")


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What is learnt, by however many."""

    dtype: torch.dtype
    frozen: bool
    """Whether the vision tower is."""
    lora: LoRA | None
    checkpointed: bool
    """Whether activations are computed again."""

    @classmethod
    def of(cls, stage: str) -> "Kind":
        """
        Args:
            stage: of ZeRO, and b: in bfloat16, c: activations computed again, l: an adapter of
                both parts, o: off-loaded.
        """
        return cls(
            dtype=torch.bfloat16 if "b" in stage else torch.float32,
            frozen="3" in stage,
            lora=BOTH if "l" in stage else None,
            checkpointed="c" in stage,
        )

    def load(self, path: Path, left: Path | None = None) -> Policy:
        """The policy there, or what has become of it and was left in a folder."""
        how = {"dtype": self.dtype, "checkpoint_activations": self.checkpointed}
        if self.lora is None:
            return Policy.load(left or path, **how)
        saved = None if left is None else left / "adapter"
        return Policy.load(path, lora=self.lora, saved_adapter=saved, **how)


def distribution(stage: str) -> DistributedConfig:
    """Of a stage as ``Kind.of`` reads it."""
    return DistributedConfig(
        zero=int(stage[0]),  # pyright: ignore[reportArgumentType]
        offload_optimizer="o" in stage,
    )


def attempts(policy: Policy) -> list[TokenTrajectory]:
    """Seven of several lengths, some without a picture."""
    return [one for group in sampled_groups(policy, drift=0.3) for one in group.trajectories]


def is_mine(ranks: Ranks, place: int) -> bool:
    """Whether this rank holds the item at that place: by turns."""
    return place % ranks.size == ranks.rank


def fine_tune(
    path: Path, ranks: Ranks, distributed: DistributedConfig, out: Path, kind: Kind
) -> dict[str, Any]:
    """Steps on many trajectories and on two without a picture; and one more, by this update and by
    one that goes on from its state."""
    policy = kind.load(path)
    config = SFTConfig(learning_rate=1e-3, micro_batch_tokens=1, freeze_vision=kind.frozen)
    update = SFTUpdate(policy, config, total_steps=STEPS + 1, ranks=ranks, distributed=distributed)
    every = attempts(Policy.load(path))
    plain = policy.chat.render([DONE], "no picture", [])
    batches = [every[:5], [plain, plain]]
    reports = [
        asdict(update.step([one for place, one in enumerate(batch) if is_mine(ranks, place)]))
        for batch in batches
    ]
    update.save(out)
    ranks.gather(None)  # it is there
    resumed = resume(path, out, ranks, distributed, kind)
    last = [one for place, one in enumerate(every[5:]) if is_mine(ranks, place)]
    next_steps = [asdict(own.step(last)) for own in (update, resumed)]
    apart = weights(update.policy) - weights(resumed.policy)
    return {"reports": reports, "next": next_steps, "apart": float(apart.abs().max())}


def resume(
    path: Path, folder: Path, ranks: Ranks, distributed: DistributedConfig, kind: Kind
) -> SFTUpdate:
    """The update that ``fine_tune`` has left in the folder."""
    config = SFTConfig(learning_rate=1e-3, micro_batch_tokens=1, freeze_vision=kind.frozen)
    policy = kind.load(path, folder / "policy")
    team = {"ranks": ranks, "distributed": distributed}
    update = SFTUpdate(policy, config, total_steps=STEPS + 1, **team)
    update.restore(folder)
    return update


def reinforce(
    path: Path, ranks: Ranks, distributed: DistributedConfig, out: Path, kind: Kind
) -> dict[str, Any]:
    """Updates of two parts, with the correction for an engine's log-probs; where there is an
    adapter, also with the policy without it for a reference."""
    policy = kind.load(path)
    config = GRPOConfig(
        learning_rate=1e-3,
        micro_batch_tokens=200,
        updates_per_batch=2,
        truncate_at=2.0,
        kl_beta=0.0 if kind.lora is None else 0.1,
        freeze_vision=kind.frozen,
    )
    update = GRPOUpdate(policy, config, ranks=ranks, distributed=distributed)
    before = places(policy)
    groups = sampled_groups(Policy.load(path), drift=0.3)
    groups += [replace(groups[1], rewards=(1.0, 0.0, 0.0))]
    groups = [replace(group, is_here=is_mine(ranks, place)) for place, group in enumerate(groups)]
    reports = [asdict(update.update(groups)) for _ in range(STEPS)]
    update.save(out)
    return {"reports": reports, "moved": places(policy) != before}


def places(policy: Policy) -> list[int]:
    """Where each weight is stored."""
    return [parameter.data_ptr() for parameter in policy.model.parameters()]


def weights(policy: Policy) -> torch.Tensor:
    """All of them, one behind another."""
    parts = []
    for parameter in policy.model.parameters():
        with gathered(parameter):
            parts.append(parameter.detach().float().flatten().clone())
    return torch.cat(parts)


def learn(path: Path, out: Path, stages: list[str]) -> None:
    """Each stage by both updates."""
    job = DistributedConfig().join("cpu")
    for stage in stages:
        for learnt in (fine_tune, reinforce):
            folder = out / f"{learnt.__name__}-{stage}"
            if job.rank == 0:
                folder.mkdir(parents=True)
            found = learnt(path, job, distribution(stage), folder, Kind.of(stage))
            if job.rank == 0:
                (folder / "found.json").write_text(json.dumps(found))
    job.leave()


if __name__ == "__main__":
    torch.set_num_threads(1)
    learn(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
