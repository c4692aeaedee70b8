"""The plan of an RL run: memory, calls, seconds, disk, places; nothing is loaded or asked."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from genagent_planning.assumptions import GIB, PlanConfig
from genagent_planning.memory import MemoryModel, Training
from genagent_planning.placement import best_placement
from genagent_planning.planned_model import PlannedModel, planned_model
from genagent_planning.published import USUAL
from genagent_planning.remedies import changes_for, refusal, what_makes_it_fit
from genagent_planning.report import (
    show_assumptions,
    show_counts,
    show_memory,
    show_model,
    show_passes,
    show_places,
)
from genagent_planning.traffic import ROUND_TOKENS, StepTraffic, picture_bytes
from genagent_policy import DistributedConfig, GRPOConfig, TrainedPolicyConfig
from genagent_rewards import RewardConfig
from genagent_rollout import EngineConfig, EvaluationConfig, GroupConfig, SamplingConfig
from genagent_tracking import RunConfig, parse

GPUS = (8, 16, 32)
"""For which places are shown, beside the number that is asked for."""


def plan_rl(
    words: Sequence[str],
    *,
    policy: TrainedPolicyConfig,
    shipped: Mapping[str, Path],
    steps: int,
    evaluate_every: int | None,
    groups: GroupConfig,
    evaluation: EvaluationConfig,
    sampling: SamplingConfig,
    engine: EngineConfig,
    grpo: GRPOConfig,
    run: RunConfig,
    reward: RewardConfig,
    truth: bool,
    distributed: DistributedConfig,
    default: PlanConfig | None = None,
) -> None:
    """Print the plan of a run with these options.

    Args:
        words: of the command line, options of ``PlanConfig``.
        shipped: checkpoints by name.
        truth: evaluations have a truth and ask no judge about every picture.
        distributed: what the GPUs that train share out, and what is in the host's memory.
        default: what the words change.

    Raises:
        ValueError: the policy is unknown, or training fits nowhere; names what makes it fit.
        SystemExit: an unknown option (2), or ``--help`` (0).
    """
    given = parse(PlanConfig, words, prog="rl_flux.py --plan", default=default or PlanConfig())
    model = model_of(policy, shipped, distributed)
    rounds = min(given.rounds, groups.max_rounds)
    seen = model.picture_tokens(given.picture_side)
    if policy.max_pixels is not None:
        seen = min(seen, model.picture_tokens(int(policy.max_pixels**0.5)))
    traffic = StepTraffic(
        requests=groups.requests_per_step,
        samples=groups.samples,
        keep=groups.keep,
        rounds=rounds,
        prompt_tokens=given.prompt_tokens,
        turn_tokens=min(given.turn_tokens, sampling.max_turn_tokens),
        picture_tokens=seen,
        held_out=evaluation.held_out,
        evaluation_rounds=min(rounds, evaluation.evaluation_rounds),
        truth=truth,
        reward=reward,
    )
    turns = (groups.max_rounds + 1) * sampling.max_turn_tokens
    answer = min(sampling.max_response_tokens, turns + groups.max_rounds * (seen + ROUND_TOKENS))
    longest = given.prompt_tokens + answer
    tokens = max(grpo.micro_batch_tokens, longest)
    share = (rounds + 1) * traffic.turn_tokens / traffic.attempt_tokens
    training = Training(
        dtype=dtype_of(policy, model),
        tokens=tokens,
        chosen=int(tokens * min(share, 1.0)),
        pictures=max(groups.max_rounds, int(tokens / traffic.attempt_tokens * rounds)),
        picture_side=given.picture_side,
        freeze_vision=vision_is_frozen(model, frozen=grpo.freeze_vision),
        checkpoint_activations=policy.checkpoint_activations,
        reference=grpo.kl_beta > 0 and model.lora is None,
        one_step_off=groups.one_step_off and not engine.urls,
        zero=distributed.zero,
        offload_optimizer=distributed.offload_optimizer,
        cache_bytes=cache_bytes_of(engine, policy, given),
        device="cuda" if policy.device.startswith("cuda") else "cpu",
    )
    memory = MemoryModel(model, training)
    show_model(model)
    if training.device == "cpu":
        check_this_machine(memory, longest=longest, given=given)
        show_memory(memory.on(gpus=1), "memory of the one process, beside tool and judge")
    else:
        _place(memory, traffic, given, longest=longest, served=bool(engine.urls))
    show_passes(memory, (longest, tokens, 2 * tokens))
    evaluations = 2 + (0 if evaluate_every is None else (steps - 1) // evaluate_every)
    _show_step(traffic, steps, evaluations, given)
    show_disk(
        memory,
        run,
        steps=steps,
        pictures=traffic.pictures * steps + evaluations * traffic.evaluation_pictures,
        given=given,
    )
    names = ["prompt_tokens", "turn_tokens", "rounds", "picture_side"]
    if training.device == "cuda":
        names += ["question_tokens", "judge_picture_tokens"]
        names += ["verdict_tokens", "decode_per_second", "pictures_per_second"]
        names += ["verdict_tokens_per_second", "tflops", "used", "tool_gib", "judge_gpus"]
    show_assumptions(given, names)


def model_of(
    policy: TrainedPolicyConfig, shipped: Mapping[str, Path], distributed: DistributedConfig
) -> PlannedModel:
    """Raises ValueError where it is not known, or has an adapter that ZeRO 3 does not take."""
    name, lora = policy.policy or USUAL, policy.lora()
    if lora is not None and distributed.zero == 3:
        raise ValueError(
            f"--distributed.zero is 3 and --lora-rank {lora.rank}; leave one out, or take 0 to 2"
        )
    return planned_model(name, replace(policy, policy=name).folder(shipped), lora=lora)


def vision_is_frozen(model: PlannedModel, *, frozen: bool) -> bool:
    """Whether training leaves its vision tower as it is.

    Args:
        frozen: as the option has it, which an adapter does not ask.
    """
    return frozen if model.lora is None else model.lora.part == "language"


def dtype_of(policy: TrainedPolicyConfig, model: PlannedModel) -> torch.dtype:
    return model.saved_dtype if policy.dtype == "saved" else getattr(torch, policy.dtype)


def cache_bytes_of(engine: EngineConfig, policy: TrainedPolicyConfig, given: PlanConfig) -> int:
    """Of the engine in this process; as ``LocalEngine`` takes it."""
    if engine.urls:
        return 0
    if engine.cache_gib is not None:
        return int(engine.cache_gib * GIB)
    return int(given.gpu_gib * GIB) // 5 if policy.device.startswith("cuda") else 2 * GIB


def check_this_machine(memory: MemoryModel, *, longest: int, given: PlanConfig) -> None:
    """Raises ValueError where one process on the CPU has no room here."""
    room = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if memory.on(gpus=1).total <= room:
        return
    changes = changes_for(memory, given, least_tokens=longest)
    options = what_makes_it_fit(
        changes,
        memory.training,
        given,
        lambda training, _: MemoryModel(memory.model, training).on(gpus=1).total <= room,
    )
    where = f"this machine, which has {room / GIB:.0f}"
    raise ValueError(refusal(where, memory, gpus=1, options=options))


def show_disk(
    memory: MemoryModel, run: RunConfig, *, steps: int | None, pictures: float, given: PlanConfig
) -> None:
    """What a run's folder grows to.

    Args:
        steps: None where they are not known.
    """
    state = memory.state
    states = state * (run.keep_checkpoints + 1)
    every, policies = run.keep_every, {}
    if every is not None and steps is None:
        policies = {f"a policy to go back to, every {every} steps": memory.policy / GIB}
    elif every is not None and steps is not None and (kept := steps // every):
        policies = {f"{kept} policies to go back to": kept * memory.policy / GIB}
    show_counts(
        "disk, GiB",
        {
            "a state": state / GIB,
            f"{run.keep_checkpoints} states and one in the making": states / GIB,
            **policies,
            "pictures of the whole run": pictures * picture_bytes(given.picture_side) / GIB,
        },
        "GiB",
    )


def _place(
    memory: MemoryModel, traffic: StepTraffic, given: PlanConfig, *, longest: int, served: bool
) -> None:
    def best(model: MemoryModel, machine: PlanConfig):
        return best_placement(model, traffic, machine, gpus=machine.gpus, served=served)

    if given.tool_gib * GIB > given.room:
        raise ValueError(
            f"the tool takes {given.tool_gib:g} GiB and a GPU has {given.gpu_gib:g}; it fits with "
            "--plan.gpu-gib of a larger one, or a smaller tool (--plan.tool-gib)"
        )
    found = best(memory, given)
    if found is None:
        changes = changes_for(memory, given, least_tokens=longest)

        def fits(training: Training, machine: PlanConfig) -> bool:
            return best(MemoryModel(memory.model, training), machine) is not None

        options = what_makes_it_fit(changes, memory.training, given, fits)
        most = given.gpus - given.judge_gpus - 1 - served
        if most < 1:
            raise ValueError(
                f"--plan.gpus is {given.gpus}; a judge takes {given.judge_gpus}, the tool one and "
                f"training{' and vLLM' if served else ''} want {1 + served} more"
            )
        where = f"each of {most} GPUs, which have {given.gpu_gib:g}"
        raise ValueError(refusal(where, memory, gpus=most, options=options))
    zero = memory.training.zero
    title = f"memory of each of {found.training} GPUs that train, of {given.gpus} (ZeRO {zero})"
    show_memory(found.memory, title)
    places = {gpus: best(memory, replace(given, gpus=gpus)) for gpus in sorted({given.gpus, *GPUS})}
    show_places(places, given)


def _show_step(traffic: StepTraffic, steps: int, evaluations: int, given: PlanConfig) -> None:
    def judged(points: float, pairs: float) -> dict[str, float]:
        questions = {"questions about one picture": points, "questions about two": pairs}
        if traffic.truth:
            return questions
        asked, shown = points + pairs, points + 2 * pairs
        read = asked * given.question_tokens + shown * given.judge_picture_tokens
        written = asked * given.verdict_tokens
        return questions | {"tokens the judge reads": read, "tokens the judge writes": written}

    points, pairs = traffic.point_questions, traffic.pair_questions
    show_counts(
        f"a step ({traffic.requests} requests, {traffic.samples} attempts, {traffic.keep} kept)",
        {
            "tokens sampled": traffic.sampled_tokens,
            "tokens learnt from, pictures included": traffic.learnt_tokens,
            "pictures drawn": traffic.pictures,
            **judged(points, pairs),
        },
    )
    evaluated = evaluations * traffic.evaluation_questions
    show_counts(
        f"the whole run ({steps} steps, {evaluations} evaluations)",
        {
            "pictures drawn": traffic.pictures * steps + evaluations * traffic.evaluation_pictures,
            **judged(points * steps + evaluated, pairs * steps),
        },
    )
