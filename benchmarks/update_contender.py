"""One contender of ``update.py``, in a process of its own, whose peak memory is then its own: steps
of GRPO on the same trajectories; a line of JSON at the end."""

import json
import resource
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from update_work import UpdateWork, read_work

from genagent_policy import GRPOConfig, GRPOGroup, GRPOUpdate, Policy, plan_micro_batches

LEARNING_RATE = 1e-6


@dataclass(frozen=True, kw_only=True)
class Steps:
    """What a contender did."""

    seconds: list[float]
    """Of each step but the first, in which memory is had for the first time."""
    cpu: list[float]
    """Of the process."""
    peak_gib: float
    """Most memory that the process ever held."""
    grad_norm: float
    """Of the first step: who does the same has the same."""
    padding: float
    """Share of pads in what was run."""


class Clock:
    """Seconds of steps."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.cpu: list[float] = []

    def begin(self) -> None:
        self._started = time.perf_counter(), time.process_time()

    def end(self) -> None:
        self.seconds.append(time.perf_counter() - self._started[0])
        self.cpu.append(time.process_time() - self._started[1])


def ours(work: UpdateWork, *, steps: int, together: int, checkpointing: bool) -> Steps:
    """This repository's update, or that of the checkout whose packages are on the path."""
    policy = Policy.load(work.folder, dtype=torch.float32, checkpoint_activations=checkpointing)
    mean = work.tokens / len(work.trajectories)
    config = GRPOConfig(learning_rate=LEARNING_RATE, micro_batch_tokens=round(together * mean))
    half = len(work.trajectories) // 2
    parts = slice(0, half), slice(half, None)
    groups = [
        GRPOGroup(trajectories=tuple(work.trajectories[part]), rewards=tuple(work.rewards[part]))
        for part in parts
    ]
    update, clock = GRPOUpdate(policy, config), Clock()
    norms = []
    for _ in range(steps + 1):
        clock.begin()
        norms.append(update.update(groups).grad_norm)
        clock.end()
    return _steps(clock, norms[0], padding=0.0)


def padded(work: UpdateWork, **how: Any) -> Steps:
    """That of a checkout: rows of a rectangle as long as the longest."""
    lengths = [len(trajectory) for trajectory in work.trajectories]
    budget = round(how["together"] * work.tokens / len(lengths))
    plan = plan_micro_batches(lengths, max_tokens=budget)
    run = sum(len(part) * max(lengths[index] for index in part) for part in plan)
    return replace(ours(work, **how), padding=1 - work.tokens / run)


def trl(work: UpdateWork, *, steps: int, together: int, checkpointing: bool) -> Steps:
    """TRL's ``GRPOTrainer``; only what it would have generated is given to it."""
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl.trainer.grpo_config import (  # pyright: ignore[reportMissingImports]
        GRPOConfig as Settings,
    )
    from trl.trainer.grpo_trainer import GRPOTrainer  # pyright: ignore[reportMissingImports]

    policy = Policy.load(work.folder, dtype=torch.float32)
    policy.freeze_vision()
    policy.model.set_attn_implementation("sdpa")
    given = _as_trl_has_it(work, policy)
    clock, norms = Clock(), []

    class Given(GRPOTrainer):
        def _generate_and_score_completions(self, inputs: Any) -> Any:
            return {name: value for name, value in given.items() if name != "padding"}

    class Watch(TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            clock.begin()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            clock.end()

        def on_log(self, args: Any, state: Any, control: Any, **given: Any) -> None:
            if "grad_norm" in given["logs"]:
                norms.append(float(given["logs"]["grad_norm"]))

    count = len(work.trajectories)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            output_dir=folder,
            per_device_train_batch_size=together,
            gradient_accumulation_steps=count // together,
            num_generations=count // 2,
            max_steps=steps + 1,
            learning_rate=LEARNING_RATE,
            lr_scheduler_type="constant",
            loss_type="grpo",
            beta=0.0,
            bf16=False,
            use_cpu=True,
            gradient_checkpointing=checkpointing,
            optim="adamw_torch_fused",
            report_to="none",
            save_strategy="no",
            logging_steps=1,
            disable_tqdm=True,
        )
        Given(
            model=policy.model,
            reward_funcs=lambda completions, **_: [0.0] * len(completions),
            args=settings,
            train_dataset=Dataset.from_list([{"prompt": "a"}] * 2 * (steps + 1)),
            processing_class=policy.processor,
            callbacks=[Watch()],
        ).train()
    return _steps(clock, norms[0], padding=given["padding"])


def trl_compact(work: UpdateWork, *, steps: int, together: int, checkpointing: bool) -> Steps:
    """TRL with its head on the completions' tokens alone, as it is where Triton runs."""
    import trl.trainer.utils as utils  # pyright: ignore[reportMissingImports]

    # Only where rows are chosen: the head's own module asks again before it launches anything.
    utils._use_triton = lambda device: True
    return trl(work, steps=steps, together=together, checkpointing=checkpointing)


def _as_trl_has_it(work: UpdateWork, policy: Policy) -> dict[str, Any]:
    """Prompts padded on the left and all that follows on the right."""
    prompts, rests, masks = [], [], []
    for each in work.trajectories:
        first = int(each.policy_mask.nonzero()[0])
        prompts.append(each.ids[:first])
        rests.append(each.ids[first:])
        masks.append(each.policy_mask[first:].long())
    ids = {"prompt": _pad(prompts, left=True), "completion": _pad(rests, left=False)}
    both = torch.cat([ids["prompt"][0], ids["completion"][0]], dim=1)
    real = torch.cat([ids["prompt"][1], ids["completion"][1]], dim=1)
    rewards = torch.tensor(work.rewards).view(2, -1)
    spread = rewards.std(dim=1, correction=0, keepdim=True)
    advantages = (rewards - rewards.mean(dim=1, keepdim=True)) / spread
    is_picture = (both == policy.chat.image_token_id) & real.bool()
    return {
        "prompt_ids": ids["prompt"][0],
        "prompt_mask": ids["prompt"][1],
        "completion_ids": ids["completion"][0],
        "completion_mask": ids["completion"][1],
        "tool_mask": _pad(masks, left=False)[0],
        "advantages": advantages.flatten(),
        "num_items_in_batch": torch.tensor(work.policy_tokens),
        "pixel_values": policy.chat.expand_pictures(
            torch.cat([each.pixel_values for each in work.trajectories])
        ),
        "image_grid_thw": torch.cat([each.grids for each in work.trajectories]),
        "mm_token_type_ids": is_picture.long(),
        "num_images": [len(each.grids) for each in work.trajectories],
        "padding": 1 - float(real.float().mean()),
    }


def _pad(rows: list[torch.Tensor], *, left: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows and where they are not padded."""
    longest = max(len(row) for row in rows)
    padded = torch.zeros(2, len(rows), longest, dtype=torch.int64)
    for place, row in enumerate(rows):
        span = slice(longest - len(row), None) if left else slice(0, len(row))
        padded[0, place, span], padded[1, place, span] = row, 1
    return padded[0], padded[1]


def _steps(clock: Clock, grad_norm: float, *, padding: float) -> Steps:
    return Steps(
        seconds=clock.seconds[1:],
        cpu=clock.cpu[1:],
        peak_gib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2,
        grad_norm=grad_norm,
        padding=padding,
    )


CONTENDERS = {"packed": ours, "padded": padded, "trl": trl, "trl_compact": trl_compact}


def main(name: str, path: str, settings: str) -> None:
    """Learn, and print what it took."""
    how = json.loads(settings)
    torch.set_num_threads(how.pop("threads"))
    print(json.dumps(asdict(CONTENDERS[name](read_work(Path(path)), **how))))


if __name__ == "__main__":
    main(*sys.argv[1:])
