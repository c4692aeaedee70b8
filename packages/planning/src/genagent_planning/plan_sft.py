"""The plan of fine-tuning: memory, seconds, disk; nothing is loaded or asked."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from genagent_planning.assumptions import GIB, PlanConfig
from genagent_planning.memory import MemoryModel, Training
from genagent_planning.placement import update_seconds
from genagent_planning.plan_rl import (
    GPUS,
    cache_bytes_of,
    check_this_machine,
    dtype_of,
    model_of,
    show_disk,
    vision_is_frozen,
)
from genagent_planning.remedies import changes_for, refusal, what_makes_it_fit
from genagent_planning.report import (
    show_assumptions,
    show_counts,
    show_memory,
    show_model,
    show_passes,
)
from genagent_policy import DistributedConfig, SFTConfig, TrainedPolicyConfig
from genagent_rollout import EngineConfig, EvaluationConfig
from genagent_tracking import RunConfig, parse, print_table


def plan_sft(
    words: Sequence[str],
    *,
    policy: TrainedPolicyConfig,
    shipped: Mapping[str, Path],
    sft: SFTConfig,
    evaluation: EvaluationConfig,
    engine: EngineConfig,
    run: RunConfig,
    distributed: DistributedConfig,
    records: int | None = None,
    default: PlanConfig | None = None,
) -> None:
    """Print the plan of fine-tuning with these options. Arguments and errors as ``plan_rl``.

    Args:
        records: to learn from; None where they are not made yet.
    """
    given = parse(PlanConfig, words, prog="sft.py --plan", default=default or PlanConfig())
    model = model_of(policy, shipped, distributed)
    rounds = min(given.rounds, evaluation.evaluation_rounds)
    longest = sft.max_record_tokens or given.record_tokens
    tokens = max(sft.micro_batch_tokens, longest)
    turns = (rounds + 1) * given.turn_tokens
    training = Training(
        dtype=dtype_of(policy, model),
        tokens=tokens,
        chosen=int(tokens * min(1.0, turns / given.record_tokens)),
        pictures=max(1, int(tokens / given.record_tokens * rounds)),
        picture_side=given.picture_side,
        freeze_vision=vision_is_frozen(model, frozen=sft.freeze_vision),
        checkpoint_activations=policy.checkpoint_activations,
        zero=distributed.zero,
        offload_optimizer=distributed.offload_optimizer,
        cache_bytes=cache_bytes_of(engine, policy, given),
        device="cuda" if policy.device.startswith("cuda") else "cpu",
    )
    memory = MemoryModel(model, training)
    show_model(model)
    learnt = sft.batch_size * given.record_tokens
    if training.device == "cpu":
        check_this_machine(memory, longest=longest, given=given)
        show_memory(memory.on(gpus=1), "memory of the one process, beside tool and judge")
    else:
        _check(memory, given, longest=longest)
        title = f"memory of each of {given.gpus} GPUs (ZeRO {distributed.zero})"
        show_memory(memory.on(gpus=given.gpus), title)
        rows = [
            {
                "GPUs": str(gpus),
                "GiB": f"{memory.on(gpus=gpus).total / GIB:.1f}",
                "step s": f"{update_seconds(memory, learnt, given, gpus=gpus):,.0f}",
            }
            for gpus in sorted({given.gpus, *GPUS})
        ]
        print_table(
            "all of them train; evaluations draw and judge elsewhere", rows, has_total=False
        )
    show_passes(memory, (longest, tokens, 2 * tokens))
    show_counts(f"a step ({sft.batch_size} records)", {"tokens learnt from": learnt})
    pictures = 2 * evaluation.held_out * rounds
    steps = None if records is None else sft.total_steps(records)
    show_disk(memory, run, steps=steps, pictures=pictures, given=given)
    names = ["record_tokens", "turn_tokens", "rounds", "picture_side"]
    show_assumptions(given, names + (["tflops", "used"] if training.device == "cuda" else []))


def _check(memory: MemoryModel, given: PlanConfig, *, longest: int) -> None:
    def fits(training: Training, machine: PlanConfig) -> bool:
        model = MemoryModel(memory.model, training)
        return model.on(gpus=machine.gpus).total <= machine.room

    if fits(memory.training, given):
        return
    changes = changes_for(memory, given, least_tokens=longest)
    options = what_makes_it_fit(changes, memory.training, given, fits)
    where = f"each of {given.gpus} GPUs, which have {given.gpu_gib:g}"
    raise ValueError(refusal(where, memory, gpus=given.gpus, options=options))
