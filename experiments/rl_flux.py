"""RL of the agent against an image generator: the main job.

One step of the method (GenAgent, 2601.18543, section 3.3), as ``learn`` has it below:

1. sample requests, and let the agent answer each of them G' times, round after round;
2. keep G of them, with round counts as even as the sample allows;
3. reward the kept ones: pointwise on the last picture, pairwise on consecutive ones, format;
4. group advantages and the masked clipped loss; no KL term, no reference model, no value function.

The miniature runs out of the box: ``uv run experiments/rl_flux.py``. ``flux-7b`` is the same with
Qwen2.5-VL-7B, request files and endpoints, ``qwen3-vl-8b`` with Qwen3-VL-8B, ``flux-7b-paper`` the
paper's recipe to the letter. Leaves are options (``--lr 1e-4``); a run's ``config.json`` is a
preset too. ``--plan`` says what a run would take, and runs nothing (``--plan --help``).
"""

from genagent_tracking import quit_on_interrupt

if __name__ == "__main__":
    quit_on_interrupt()  # the imports below take a second

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated

import tyro

import genagent_planning as planning  # what loads torch is taken from these when it is needed
import genagent_policy
import genagent_rollout as rollout
from genagent_data import Request, derive_seed, evenly_by_task, requests_digest
from genagent_miniworld import Miniature
from genagent_policy import DistributedConfig, GRPOConfig, TrainedPolicyConfig, linear_rate
from genagent_rewards import RewardConfig, reward_metrics
from genagent_rollout import EngineConfig, EvaluationConfig, GroupConfig, SamplingConfig
from genagent_tracking import Flat, Run, RunConfig, refuse, run_experiment
from genagent_worlds import (
    FilesAndEndpoints,
    Outcome,
    World,
    audit_rewards,
    open_reward,
    picture_counts,
    reward_problems,
    warn_of_overlap,
    with_kept_pictures,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class RLConfig:
    """Everything a run depends on."""

    world: Annotated[Miniature | FilesAndEndpoints, tyro.conf.AvoidSubcommands] = field(
        default_factory=Miniature
    )
    policy: Flat[TrainedPolicyConfig] = field(default_factory=TrainedPolicyConfig)
    steps: int = 40
    """Batches of rollouts to learn from."""
    evaluate_every: int | None = None
    """Steps between two evaluations on held-out requests while it learns; None: one before and one
    after."""
    groups: Flat[GroupConfig] = field(default_factory=GroupConfig)
    evaluation: Flat[EvaluationConfig] = field(default_factory=EvaluationConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    reward: RewardConfig = field(default_factory=RewardConfig)
    grpo: GRPOConfig = field(default_factory=GRPOConfig)
    distributed: DistributedConfig = field(default_factory=DistributedConfig)
    run: Flat[RunConfig] = field(default_factory=RunConfig)

    def __post_init__(self) -> None:
        for name in ("steps", "evaluate_every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}; wants 1 or more")
        self.sampling.check_learnable()
        requests, parts = self.groups.requests_per_step, self.grpo.updates_per_batch
        if requests % parts:
            raise ValueError(f"requests_per_step {requests} does not divide into {parts} updates")
        if self.groups.one_step_off and self.grpo.truncate_at is None:
            raise ValueError("one_step_off learns from older samples; wants --grpo.truncate-at 2")


FLUX_AND_QWEN = FilesAndEndpoints(
    tool="flux-8step", tool_device="cuda:1", judge_model="Qwen/Qwen3-VL-30B-A3B-Instruct"
)
FLUX = RLConfig(
    world=FLUX_AND_QWEN,
    policy=TrainedPolicyConfig(policy="", device="cuda"),
    steps=200,
    evaluate_every=25,
    groups=GroupConfig(requests_per_step=32),
    run=RunConfig(checkpoint_every=5, keep_every=50),
    evaluation=EvaluationConfig(held_out=280),
    sampling=SamplingConfig(max_turn_tokens=2048, max_response_tokens=8192, max_batch=32),
    grpo=GRPOConfig(learning_rate=1e-6, updates_per_batch=2, micro_batch_tokens=16384),
)
PRESETS = {
    # The cold start was made with flux-mini. This one it has never met, and it draws what it is
    # clearly told three times in five: there is much to learn, and looking goes on to pay.
    "miniature": RLConfig(
        world=Miniature(tool="sana-mini"),
        grpo=GRPOConfig(
            learning_rate=3e-4, updates_per_batch=4, warmup_batches=3, final_fraction=0.1
        ),
        run=RunConfig(threads=1),
    ),
    "smoke": RLConfig(
        steps=2,
        groups=GroupConfig(requests_per_step=4),
        evaluation=EvaluationConfig(held_out=20),
        run=RunConfig(threads=1, trajectories_every=1, trial=True),
    ),
    "flux-7b": FLUX,
    "qwen3-vl-8b": FLUX,
    "flux-7b-paper": RLConfig(
        world=FLUX_AND_QWEN,
        policy=TrainedPolicyConfig(policy="", device="cuda"),
        steps=200,
        evaluate_every=25,
        groups=GroupConfig(requests_per_step=240, samples=12, keep=8, max_rounds=3),
        run=RunConfig(checkpoint_every=5, keep_every=50),
        evaluation=EvaluationConfig(held_out=280, evaluation_rounds=2),
        sampling=SamplingConfig(max_turn_tokens=16384, max_response_tokens=16384, max_batch=32),
        # A turn of 16,384 tokens at 10 a second, as a full server gives them.
        engine=EngineConfig(turn_seconds=1800.0),
        reward=RewardConfig(single_round="zero"),
        grpo=GRPOConfig(learning_rate=1e-6, micro_batch_tokens=16384),
    ),
}


def main(config: RLConfig, run: Run) -> None:
    """Evaluate, learn, evaluate; everything goes to MLflow and the run's folder."""
    ranks = config.distributed.join(config.policy.device)
    ranks.first(lambda: refuse(problems(config)))
    run.join(ranks)
    world = config.world.open(run.memory, seed=config.run.seed)
    world = with_kept_pictures(world, run.pictures, run.memory)
    first = world.train.sample(config.groups.requests_per_step, seed=config.run.seed)
    run.made_with(
        policy=config.policy.name(world.policies),
        requests=requests_digest(first),
        held_out=requests_digest(world.held_out),
    )
    reward = open_reward(world.judges, config.reward)
    policy = config.policy.load(world.policies, saved=run.saved_policy, words=world.words)
    reference = None
    if config.grpo.kl_beta and not config.policy.lora_rank:  # where the run began, also later on
        reference = config.policy.load(world.policies, words=world.words)
    team = {"ranks": ranks, "distributed": config.distributed}
    update = genagent_policy.GRPOUpdate(policy, config.grpo, reference=reference, **team)
    ahead = config.groups.one_step_off
    engine = config.engine.open(policy, config.sampling, run.folder, ranks, ahead=ahead)
    held_out = evenly_by_task(world.held_out, config.evaluation.held_out)

    def sample(engine: "rollout.Engine", step: int) -> "rollout.DynamicSample":
        seed = judge_seed(config, step)
        return rollout.sample_step(
            engine,
            world,
            config.groups,
            lambda cases: reward.score(cases, seed=seed),
            seed=config.run.seed,
            step=step,
            pictures=run.pictures,
            anchored=config.reward.anchored,
            scale=config.grpo.scale_rewards,
            ranks=ranks,
        )

    def look(requests: Sequence[Request], progress: Callable[[int, int], None]) -> list[Outcome]:
        how = {"seed": config.run.seed, "max_rounds": config.evaluation.evaluation_rounds}
        shown = {"pictures": run.pictures, "progress": progress, "ranks": ranks}
        return rollout.evaluate(engine, world, requests, **how, **shown)

    samples = rollout.StepSamples(sample, engine, steps=config.steps, ahead=ahead)
    with run.recording(samples.kept_with(update)), samples:
        before = run.evaluate(0, world, held_out, look)
        for step in run.steps(config.steps):
            if step and config.evaluate_every and step % config.evaluate_every == 0:
                samples.settle(step)
                run.evaluate(step, world, held_out, look)
            learn(config, run, ranks, world, samples, update, step)
        samples.catch_up()
        after = run.evaluate(config.steps, world, held_out, look)
        run.conclude(before, after, asking=config.world.asking)
        ranks.leave()


def problems(config: RLConfig, *, before_launch: bool = False) -> list[str]:
    """What keeps it from running, a line each; nothing is loaded. Before the launch no server is
    asked."""
    asks = not before_launch
    lines = [
        *config.distributed.problems(
            device=config.policy.device,
            freeze_vision=config.grpo.freeze_vision,
            lora_rank=config.policy.lora_rank,
            one_step_off=config.groups.one_step_off,
            before_launch=before_launch,
        ),
        *config.policy.problems(config.world.policies),
        *config.world.problems(ask_servers=asks),
        *reward_problems(config.reward),
        *config.engine.problems(
            config.sampling, changing="training changes the weights", ask_servers=asks
        ),
    ]
    if not lines:
        warn_of_overlap(config.world.train, config.world.held_out)
    return lines


def judge_seed(config: RLConfig, step: int) -> int:
    """Seed of the positions in which a step's pictures are compared."""
    return derive_seed(config.run.seed, "judge", step)


def learn(
    config: RLConfig,
    run: Run,
    ranks: "genagent_policy.Ranks",
    world: World,
    samples: "rollout.StepSamples[rollout.DynamicSample]",
    update: "genagent_policy.GRPOUpdate",
    step: int,
) -> None:
    """One step: take what was sampled, kept and rewarded, learn, and say what happened."""
    found = samples.take(step)
    kept, seed = found.kept, judge_seed(config, step)
    with run.update(), samples.learning(step):
        rate = linear_rate(step, config.steps, config.grpo)
        report = update.update(found.learnable, learning_rate=rate)

    rewards = kept.cases, kept.records, config.reward
    run.log(
        reward_metrics(kept.asked),
        # Every rank has all cases, and a judge asks its price for each question.
        ranks.first(lambda: audit_rewards(world, *rewards, seed=seed)),
        rollout.rollout_metrics(world, found.batch, kept.records),
        rollout.anchor_metrics(kept.anchors),
        found.metrics() if config.groups.dynamic_sampling else {},
        samples.metrics(),
        report.metrics(),
        rollout.total_counts({**world.judges.take_counts(), **picture_counts(world)}, ranks),
    )
    run.show(world, kept.every)


def plan(config: RLConfig, words: Sequence[str]) -> None:
    """What a run would take, on the terminal."""
    is_miniature = isinstance(config.world, Miniature)
    planning.plan_rl(
        words,
        policy=config.policy,
        shipped=config.world.policies,
        steps=config.steps,
        evaluate_every=config.evaluate_every,
        groups=config.groups,
        evaluation=config.evaluation,
        sampling=config.sampling,
        engine=config.engine,
        grpo=config.grpo,
        run=config.run,
        distributed=config.distributed,
        reward=config.reward,
        truth=is_miniature,
        default=planning.MINIATURE if is_miniature else None,
    )


if __name__ == "__main__":
    check = partial(problems, before_launch=True)
    run_experiment("rl_flux", main, RLConfig, PRESETS, check=check, plan=plan)
