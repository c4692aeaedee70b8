"""RL of the agent against a FLUX pipeline: the main job.

One step of the method (GenAgent, 2601.18543, section 3.3), read from ``train`` below:

1. sample requests, and let the agent answer each of them G' times, round after round;
2. keep G of them, with round counts as even as the sample allows;
3. reward the kept ones: pointwise on the last picture, pairwise on consecutive ones, format;
4. group advantages and the masked clipped loss, a few optimizer steps; no KL term, no reference
   model, no value function.

The miniature runs out of the box: ``uv run experiments/rl_flux.py``. A preset's leaves are options
(``--grpo.learning-rate 1e-4``), and a run's ``config.json`` in place of a preset starts it again.
"""

import json
import random
import resource
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from genagent_data import (
    PictureStore,
    Request,
    read_trajectories,
    reward_case,
    write_trajectories,
)
from genagent_miniworld import (
    JudgeConfig,
    Judges,
    Outcome,
    ToolConfig,
    Verifier,
    audit_outcomes,
    compare,
    evaluate,
    judge_outcomes,
    load_judges,
    load_policy,
    open_tool,
    paired_p_value,
    read_checkable_requests,
    result_rows,
    sample_requests,
    summarize,
    telling_pair,
)
from genagent_policy import (
    GRPOConfig,
    GRPOGroup,
    GRPOReport,
    GRPOUpdate,
    latest_training_state,
    linear_rate,
    save_training_state,
)
from genagent_rewards import (
    HybridReward,
    RewardConfig,
    RewardRecord,
    audit_metrics,
    reward_metrics,
)
from genagent_rollout import (
    Rollout,
    RolloutEngine,
    SamplingConfig,
    derive_seed,
    ending_metrics,
    resample_by_rounds,
    run_agents,
)
from genagent_tools import ImageTool
from genagent_tracking import (
    MlflowTracker,
    TrackerConfig,
    TrajectoryRecord,
    draw_trajectories,
    picture_grid,
    print_line,
    print_table,
    run_experiment,
    step_progress,
    write_text,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class RLConfig:
    """Everything a run depends on."""

    policy: str = "sft"
    """Where learning starts: "sft", "base", or a checkpoint folder."""
    tool: ToolConfig = field(default_factory=ToolConfig)
    word_limit: int = 0
    """Words of a prompt that the tool reads, told to the agent; 0: nothing is said of it."""
    requests: Path | None = None
    """File of training requests (.jsonl with hints); by default the miniature's own."""
    seed: int = 0
    steps: int = 40
    """Batches of rollouts to learn from."""
    requests_per_step: int = 16
    samples: int = 12
    """G': attempts at each request."""
    keep: int = 8
    """G: attempts that are kept, rounds as even as possible."""
    max_rounds: int = 3
    """Pictures the agent may draw in training."""
    held_out: int = 450
    """Requests of the evaluations before and after."""
    evaluation_rounds: int = 2
    """Pictures the agent may draw in evaluation."""
    trajectories_every: int = 10
    """Steps between two samples of trajectories in MLflow."""
    runs: Path = Path("runs")
    """Folder for the run's pictures, checkpoints and summary."""
    grpo: GRPOConfig = field(default_factory=GRPOConfig)
    judge: JudgeConfig = field(default_factory=JudgeConfig)
    reward: RewardConfig = field(default_factory=RewardConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    tracker: TrackerConfig = field(default_factory=lambda: TrackerConfig(experiment="rl_flux"))

    def __post_init__(self) -> None:
        for name in ("steps", "requests_per_step", "keep", "max_rounds", "held_out"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; wants 1 or more")
        if self.samples < self.keep:
            raise ValueError(f"cannot keep {self.keep} of {self.samples} samples; raise samples")
        if self.requests_per_step % self.grpo.updates_per_batch:
            raise ValueError(
                f"requests_per_step {self.requests_per_step} does not divide into "
                f"{self.grpo.updates_per_batch} updates of whole groups"
            )


PRESETS = {
    "miniature": RLConfig(
        grpo=GRPOConfig(
            learning_rate=3e-4, updates_per_batch=4, warmup_batches=3, final_fraction=0.1
        )
    ),
    "smoke": RLConfig(steps=2, requests_per_step=4, held_out=20, trajectories_every=1),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One step's rollouts and what was learnt from them."""

    rollouts: tuple[Rollout, ...]
    """All G' attempts at each request."""
    outcomes: list[Outcome]
    """What the verifier finds in each of them."""
    kept: list[int]
    """The G attempts at each request that are learnt from."""
    records: list[RewardRecord]
    """Rewards of the kept attempts."""
    true_records: list[RewardRecord]
    """The same by the exact verifier, which pays for nothing."""
    report: GRPOReport
    seconds: dict[str, float]


def main(config: RLConfig, run_folder: Path) -> None:
    """Evaluate, learn, evaluate; everything goes to MLflow and the run's folder."""
    started = time.perf_counter()
    store = PictureStore(run_folder / "pictures")
    train_requests = read_checkable_requests(config.requests) if config.requests else None
    state = latest_training_state(run_folder / "state")
    policy = load_policy(
        str(state.policy_path) if state else config.policy, words=config.word_limit or None
    )
    tool = open_tool(config.tool)
    held_out = sample_requests(config.held_out, seed=derive_seed(config.seed, 1), split="held-out")
    engine = RolloutEngine(policy, config.sampling)
    grpo = GRPOUpdate(policy, config.grpo)
    judges = load_judges(config.judge, cache=run_folder / "verdicts.sqlite")
    learnt, spent, tracked = 0, 0.0, None
    if state:
        state.restore(grpo)
        learnt, spent, tracked = state.step, state.notes["seconds"], state.notes["mlflow_run"]
    tracker = MlflowTracker(
        config.tracker, run_config=config, pictures=store, seed=config.seed, run_id=tracked
    )

    def seconds() -> float:
        return spent + time.perf_counter() - started

    def look(step: int, kept: str) -> list[Outcome]:
        outcomes = evaluate(
            policy,
            tool,
            held_out,
            seed=config.seed,
            max_rounds=config.evaluation_rounds,
            store=store,
        )
        write_trajectories(run_folder / kept, (outcome.trajectory for outcome in outcomes))
        metrics = summarize(outcomes) | audit_outcomes(outcomes, judges, store)
        tracker.log({f"eval/{k}": v for k, v in metrics.items()}, step)
        shown = [outcome for outcome in outcomes if outcome.passed][:40]
        pictures = [store.get(outcome.trajectory.images[-1]) for outcome in shown]
        passed = [outcome.success for outcome in shown]
        if shown:
            tracker.images("evaluation", picture_grid(pictures, passed=passed), step)
        return outcomes

    def keep(step: int) -> None:
        notes = {"seconds": seconds(), "mlflow_run": tracker.run_id}
        save_training_state(run_folder / "state", step, policy, grpo, notes)

    status = "failed"
    try:
        if state:
            before = judge_outcomes(read_trajectories(run_folder / "before.jsonl"), store)
        else:
            print_line(f"evaluating {config.policy} on {len(held_out)} held-out requests")
            before = look(0, "before.jsonl")
            keep(0)
        try:
            with step_progress(config.steps, done=learnt) as progress:
                for step in range(learnt, config.steps):
                    requests = _requests(config, train_requests, step)
                    result = train(config, engine, tool, judges, grpo, store, requests, step)
                    learnt = step + 1
                    metrics = _metrics(result) | judges.take_counts()
                    tracker.log(metrics, learnt)
                    if step % config.trajectories_every == 0:
                        tracker.trajectories(_samples(result), learnt)
                    keep(learnt)
                    progress.advance(metrics)
        except KeyboardInterrupt:
            status = "killed"
            print_line(f"stopped after step {learnt}; the same command with --resume goes on")
        policy.save(run_folder / "policy")
        summary: dict[str, object] = {
            "seed": config.seed,
            "steps": learnt,
            "policy": str(run_folder / "policy"),
            "mlflow_run": tracker.run_id,
            "before": summarize(before),
        }
        if status != "killed":
            print_line(f"evaluating again on the same {len(held_out)} requests")
            after = look(learnt, "after.jsonl")
            summary |= compare(before, after)
            _show(before, after, store, run_folder, tracker)
            status = "finished"
        summary["seconds"] = seconds()
        summary["peak_memory_gib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        path = run_folder / "summary.json"
        write_text(path, json.dumps(summary, indent=2))
        tracker.artifact(path)
        if status == "finished":
            shutil.rmtree(run_folder / "state")
        print_line(f"compare runs and read trajectories: {tracker.ui_command}")
        print_line(str(path))
    except ValueError as error:
        # Everything that was given has been read by now: this is a failure, not bad input.
        raise RuntimeError(str(error)) from error
    finally:
        tracker.close(status)


def train(
    config: RLConfig,
    engine: RolloutEngine,
    tool: ImageTool,
    judges: Judges,
    grpo: GRPOUpdate,
    store: PictureStore,
    requests: Sequence[Request],
    step: int,
) -> Step:
    """Sample, keep, reward, learn."""
    repeated = [request for request in requests for _ in range(config.samples)]
    seeds = [derive_seed(config.seed, "rollout", step, i) for i in range(len(repeated))]
    batch = run_agents(
        engine, tool, repeated, seeds=seeds, max_rounds=config.max_rounds, store=store
    )
    clock = time.perf_counter()
    outcomes = judge_outcomes((rollout.trajectory for rollout in batch.rollouts), store)
    kept = _keep(config, batch.rollouts, step)
    learnt_from = [batch.rollouts[index] for index in kept]
    cases = [reward_case(r.trajectory, store, attempt=r.seed) for r in learnt_from]
    coin = derive_seed(config.seed, "judge", step)
    records = HybridReward(judges.point, judges.pair, config.reward).score(cases, seed=coin)
    rewarded = time.perf_counter()
    true_records = HybridReward(Verifier(), Verifier(), config.reward).score(cases, seed=coin)
    groups = _groups(learnt_from, records, config.keep)
    report = grpo.update(groups, learning_rate=linear_rate(step, config.steps, config.grpo))
    return Step(
        rollouts=batch.rollouts,
        outcomes=outcomes,
        kept=kept,
        records=records,
        true_records=true_records,
        report=report,
        seconds={
            "policy": batch.timings.policy,
            "tool": batch.timings.tool,
            "reward": rewarded - clock,
            "update": report.seconds,
        },
    )


def _requests(config: RLConfig, pool: Sequence[Request] | None, step: int) -> list[Request]:
    seed = derive_seed(config.seed, "requests", step)
    if pool is None:
        return sample_requests(config.requests_per_step, seed=seed, split="train")
    return random.Random(seed).choices(pool, k=config.requests_per_step)


def _keep(config: RLConfig, rollouts: Sequence[Rollout], step: int) -> list[int]:
    """G of each request's G' attempts, request by request."""
    rng = random.Random(derive_seed(config.seed, "resample", step))
    kept: list[int] = []
    for start in range(0, len(rollouts), config.samples):
        group = rollouts[start : start + config.samples]
        rounds = [len(rollout.trajectory.rounds) for rollout in group]
        kept += [start + index for index in resample_by_rounds(rounds, config.keep, rng)]
    return kept


def _groups(kept: Sequence[Rollout], records: Sequence[RewardRecord], size: int) -> list[GRPOGroup]:
    """Attempts whose reward is absent, or that a failed tool ended, leave their group."""
    groups = []
    for start in range(0, len(kept), size):
        pairs = [
            (rollout.tokens, record.breakdown.total)
            for rollout, record in zip(
                kept[start : start + size], records[start : start + size], strict=True
            )
            if record.breakdown is not None and rollout.trajectory.ending != "tool_failure"
        ]
        if pairs:
            trajectories, rewards = zip(*pairs, strict=True)
            groups.append(GRPOGroup(trajectories=trajectories, rewards=rewards))
    return groups


def _metrics(step: Step) -> dict[str, float]:
    report = asdict(step.report)
    counts = {"seconds", "tokens_per_second", "policy_tokens", "optimizer_steps"}
    rollout_seconds = step.seconds["policy"] + step.seconds["tool"]
    sampled = sum(rollout.tokens.num_policy_tokens for rollout in step.rollouts)
    return {
        **reward_metrics(step.records),
        **audit_metrics(step.records, step.true_records),
        **{f"rollout/{name}": value for name, value in summarize(step.outcomes).items()},
        **ending_metrics([rollout.trajectory for rollout in step.rollouts]),
        **{f"policy/{name}": float(v) for name, v in report.items() if name not in counts},
        **{f"seconds/{name}": value for name, value in step.seconds.items()},
        "throughput/sampled_tokens_per_second": sampled / rollout_seconds,
        "throughput/trained_tokens_per_second": step.report.tokens_per_second,
    }


def _samples(step: Step, count: int = 6) -> list[TrajectoryRecord]:
    kept = list(zip(step.kept, step.records, strict=True))
    spread = kept[:: max(1, len(kept) // count)]
    return [
        TrajectoryRecord(
            trajectory=step.rollouts[index].trajectory,
            turns=step.rollouts[index].turns,
            record=record,
            true_success=step.outcomes[index].success,
        )
        for index, record in spread[:count]
    ]


def _show(
    before: Sequence[Outcome],
    after: Sequence[Outcome],
    store: PictureStore,
    run_folder: Path,
    tracker: MlflowTracker,
) -> None:
    """The table by task type, and one request's pictures before and after."""
    rows = result_rows(before, after)
    print_table("success by the last and by the first picture, % [95 % interval]", rows)
    tracker.table("held_out", rows)
    p = paired_p_value(before, after)
    print_line(f"success before and after, paired exact McNemar test: p = {p:.2g}")
    pair = telling_pair(before, after)
    if pair is not None:
        path = run_folder / "before_after.png"
        last_before, last_after = (outcome.trajectory for outcome in pair)
        draw_trajectories(path, {"before": last_before, "after": last_after}, store)
        tracker.artifact(path)
        print_line(f"one request before and after: {path}")


if __name__ == "__main__":
    run_experiment("rl_flux", main, RLConfig, PRESETS, folder=lambda config: config.runs)
