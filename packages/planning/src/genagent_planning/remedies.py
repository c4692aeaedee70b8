"""What to change where training does not fit: options, tried out one by one and together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from genagent_planning.assumptions import GIB, PlanConfig
from genagent_planning.memory import MemoryModel, Training

Fits = Callable[[Training, PlanConfig], bool]


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """An option and what it does."""

    option: str
    training: Callable[[Training], Training] = lambda training: training
    given: Callable[[PlanConfig], PlanConfig] = lambda given: given


def changes_for(memory: MemoryModel, given: PlanConfig, *, least_tokens: int) -> list[Change]:
    """Those that there are and that learn the same, the cheapest first.

    Args:
        least_tokens: of the longest trajectory, which is never cut.
    """
    training, found = memory.training, []
    on_gpus = training.device == "cuda"
    if not training.checkpoint_activations:
        found.append(
            Change(option="--checkpoint-activations", training=_with(checkpoint_activations=True))
        )
    if training.tokens > least_tokens:
        fewer = dict(tokens=least_tokens, chosen=training.chosen * least_tokens // training.tokens)
        found.append(
            Change(
                option=f"micro-batch-tokens {least_tokens}",
                training=_with(**fewer),
            )
        )
    if training.cache_bytes > 4 * GIB:
        found.append(
            Change(
                option="--engine.cache-gib 4",
                training=_with(cache_bytes=4 * GIB),
            )
        )
    stages = range(training.zero + 1, 4 if memory.model.lora is None else 3)
    for zero in stages if on_gpus else ():
        found.append(Change(option=f"--distributed.zero {zero}", training=_with(zero=zero)))
    for gpus in (16, 32, 64) if on_gpus else ():
        if gpus > given.gpus:
            found.append(Change(option=f"--plan.gpus {gpus}", given=_on(gpus)))
    if on_gpus and not training.offload_optimizer:
        found.append(
            Change(option="--distributed.offload-optimizer", training=_with(offload_optimizer=True))
        )
    return found


def what_makes_it_fit(
    changes: Sequence[Change], training: Training, given: PlanConfig, fits: Fits
) -> list[str]:
    """Options each of which is enough; where none is, the one line of those that are together, and
    empty where nothing is."""

    def enough(chosen: Sequence[Change]) -> bool:
        changed, machine = training, given
        for change in chosen:
            changed, machine = change.training(changed), change.given(machine)
        return fits(changed, machine)

    if alone := [change.option for change in changes if enough([change])]:
        return alone
    chosen: list[Change] = []
    for change in changes:
        chosen.append(change)
        if enough(chosen):
            break
    else:
        return []
    for change in list(chosen):
        fewer = [one for one in chosen if one is not change]
        if enough(fewer):
            chosen = fewer
    return [" ".join(change.option for change in chosen)]


def refusal(where: str, model: MemoryModel, *, gpus: int, options: list[str]) -> str:
    """One line: what it would take, of what, and what makes it fit."""
    memory = model.on(gpus=gpus)
    largest = sorted(memory.parts.items(), key=lambda part: -part[1])[:4]
    parts = ", ".join(f"{name} {size / GIB:.1f}" for name, size in largest)
    remedy = f"it fits with {' or with '.join(options)}" if options else "nothing known here helps"
    return f"training takes {memory.total / GIB:.1f} GiB on {where} ({parts}, …); {remedy}"


def _with(**changed: int) -> Callable[[Training], Training]:
    return lambda training: replace(training, **changed)


def _on(gpus: int) -> Callable[[PlanConfig], PlanConfig]:
    return lambda given: replace(given, gpus=gpus)
