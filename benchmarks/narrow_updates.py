"""What a small learning rate loses in bfloat16: steps of the miniature's ``sft`` on the teacher's
conversations, by four ways to keep the weights.

    uv run benchmarks/narrow_updates.py
    uv run benchmarks/narrow_updates.py --learning-rate 1e-5 --steps 400

    float32     weights, gradients and AdamW in float32: what the others are held against
    masters     the rounding of float32 weights, which are kept, as ``Optimizer`` keeps them
    stochastic  bfloat16 weights alone, each step rounded up or down by chance, so that the mean of
                many steps is right; moments in float32
    plain       bfloat16 weights alone, each step rounded to the nearest

All begin with the same weights, which bfloat16 holds exactly, see the same conversations and
compute in float32, so that nothing but the rounding of weights differs.
``moved`` is the share of weights that a step changed, ``kept`` of the way that float32 went (the
projection of theirs onto it), ``stray`` what they went beside it, both in parts of its length, and
``learnt`` of its fall in loss, on the conversations that were learnt from. Sums are over weights.
"""

import json
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from genagent_building.lessons import reading_lesson, tokens
from genagent_data import write_text
from genagent_miniworld import Teacher, sample_requests
from genagent_miniworld.load import quietly, weights
from genagent_policy import Policy, TokenTrajectory
from genagent_policy.sft_loss import negative_log_likelihood
from genagent_tracking import parse, print_line, print_table, waiting


@dataclass(frozen=True, kw_only=True)
class NarrowBenchmark:
    """What is measured."""

    learning_rate: float = 1e-6
    steps: int = 100
    batch: int = 16
    """Conversations a step."""
    seed: int = 0
    output: Path = Path("runs/narrow_updates.json")


@dataclass(frozen=True, kw_only=True)
class Found:
    """Of one way to keep weights."""

    moved: float
    """Share of weights that the first step changed."""
    moved_at_all: float
    """Share that is another one in the end."""
    kept: float
    stray: float
    learnt: float


Rounding = Callable[[Tensor], Tensor]
"""Of float32 weights to those that the policy computes with."""


class Stepper:
    """AdamW in float32, of weights that are rounded after each step."""

    def __init__(self, parameters: Sequence[torch.nn.Parameter], rate: float, way: "Way") -> None:
        self._parameters, self._way = parameters, way
        self._wide = [each.detach().clone() for each in parameters]
        self._adamw = torch.optim.AdamW(self._wide, lr=rate, weight_decay=0.0)

    def step(self, loss: Tensor) -> None:
        """Learn from one loss."""
        loss.backward()
        with torch.no_grad():
            for wide, own in zip(self._wide, self._parameters, strict=True):
                wide.grad, own.grad = own.grad, None
                if not self._way.remembers:
                    wide.copy_(own)
            torch.nn.utils.clip_grad_norm_(self._wide, 1.0)
            self._adamw.step()
            for wide, own in zip(self._wide, self._parameters, strict=True):
                own.copy_(self._way.rounding(wide))


def rounded_by_chance(values: Tensor) -> Tensor:
    """To one of the two neighbours in bfloat16, nearer ones more often: a random number below the
    last bit that is kept is added, and the bits below it are cut off."""
    bits = values.view(torch.int32)
    below = torch.randint_like(bits, 1 << 16)
    return ((bits + below) & -(1 << 16)).view(torch.float32).bfloat16()


@dataclass(frozen=True, kw_only=True)
class Way:
    """How weights are kept."""

    rounding: Rounding
    remembers: bool
    """Whether what rounding took away is there again at the next step."""


WAYS = {
    "float32": Way(rounding=lambda values: values, remembers=True),
    "masters": Way(rounding=lambda values: values.bfloat16(), remembers=True),
    "stochastic": Way(rounding=rounded_by_chance, remembers=False),
    "plain": Way(rounding=lambda values: values.bfloat16(), remembers=False),
}


def learn(
    config: NarrowBenchmark, way: str, taught: list[TokenTrajectory]
) -> tuple[Tensor, Tensor, float]:
    """The first step and the whole way of all weights, and the fall in loss."""
    policy = Policy.load(weights("sft"), dtype=torch.bfloat16)
    policy.model.float()
    policy.freeze_vision()
    parameters = policy.trainable_parameters()
    stepper = Stepper(parameters, config.learning_rate, WAYS[way])
    torch.manual_seed(config.seed)
    begun, before = flat(parameters), mean_loss(policy, taught)
    first = begun
    for number in range(config.steps):
        start = number * config.batch % len(taught)
        batch = taught[start : start + config.batch]
        nats, _ = negative_log_likelihood(policy, batch)
        stepper.step(nats / sum(each.num_policy_tokens for each in batch))
        if number == 0:
            first = flat(parameters)
    return first - begun, flat(parameters) - begun, before - mean_loss(policy, taught)


@torch.no_grad()
def mean_loss(policy: Policy, taught: list[TokenTrajectory]) -> float:
    """Nats a token."""
    parts = [taught[at : at + 32] for at in range(0, len(taught), 32)]
    nats = sum(float(negative_log_likelihood(policy, part)[0]) for part in parts)
    return nats / sum(each.num_policy_tokens for each in taught)


def flat(parameters: Sequence[Tensor]) -> Tensor:
    return torch.cat([each.detach().float().flatten() for each in parameters])


def main(config: NarrowBenchmark) -> None:
    """All ways, then the figures."""
    quietly()
    rng, teacher = random.Random(config.seed), Teacher()
    policy = Policy.load(weights("sft"))
    requests = sample_requests(8 * config.batch, seed=config.seed, split="train")
    taught = [tokens(policy, reading_lesson(request, teacher, rng)) for request in requests]
    goal, found = None, {}
    for way in WAYS:
        with waiting(way, at_once=False):
            first, whole, fall = learn(config, way, taught)
        goal = goal or (whole, fall)
        length = float(goal[0].norm())
        along = float(whole @ goal[0]) / length
        beside = float((whole - along / length * goal[0]).norm())
        found[way] = Found(
            moved=float((first != 0).float().mean()),
            moved_at_all=float((whole != 0).float().mean()),
            kept=along / length,
            stray=beside / length,
            learnt=fall / goal[1],
        )
    rows = [
        {"": way} | {name: f"{100 * value:.1f} %" for name, value in asdict(each).items()}
        for way, each in found.items()
    ]
    title = (
        f"{config.steps} steps at {config.learning_rate:g}, {len(goal[0])} weights" if goal else ""
    )
    print_table(title, rows, has_total=False)
    config.output.parent.mkdir(parents=True, exist_ok=True)
    write_text(config.output, json.dumps({way: asdict(each) for way, each in found.items()}))
    print_line(str(config.output))


if __name__ == "__main__":
    main(parse(NarrowBenchmark, sys.argv[1:], prog="narrow_updates.py"))
