"""The cold start: supervised fine-tuning of the agent on a teacher's conversations.

Before RL the agent learns (GenAgent, 2601.18543, section 3.2) what a turn is, to write prompts of
its own, and to look before it answers. Only its own tokens count. Held-out records say how well it
predicts the teacher's tokens, held-out requests say how it does by itself, and the end is the
paper's Table 1.

The miniature learns from what ``uv run experiments/synthesize.py --requests 5000`` writes,
``qwen2.5-vl-7b`` and ``qwen3-vl-8b`` by the paper's recipe. Leaves are options (``--lr 1e-4``); a
run's ``config.json`` is a preset too. ``--plan`` says what a run would take, and runs nothing
(``--plan --help``).
"""

from genagent_tracking import quit_on_interrupt

if __name__ == "__main__":
    quit_on_interrupt()  # the imports below take a second

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated

import tyro

import genagent_planning as planning  # what loads torch is taken from these when it is needed
import genagent_policy as policies
import genagent_rollout as rollout
from genagent_building.training import COLD_START, HELD_OUT_SHARE
from genagent_data import RecordFolder, Request, evenly_by_task, requests_digest
from genagent_miniworld import Miniature
from genagent_policy import DistributedConfig, SFTConfig, TrainedPolicyConfig
from genagent_rollout import EngineConfig, EvaluationConfig, SamplingConfig
from genagent_tracking import Flat, Run, RunConfig, print_line, refuse, run_experiment
from genagent_worlds import (
    NEAR,
    FilesAndEndpoints,
    Outcome,
    conduct,
    conduct_rows,
    with_kept_pictures,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ColdStartConfig:
    """Everything a run depends on."""

    data: Path = Path("synthesized")
    """Folder of records, as synthesize.py writes it."""
    out: Path | None = None
    """Folder for the learnt policy, besides the run's own."""
    held_out_share: float = HELD_OUT_SHARE
    """About that share of the records' requests is not learnt from but measured on."""
    loss_every: int = 25
    """Steps between two looks at the loss on held-out records."""
    evaluate_every: int = 100
    """Steps between two evaluations on the world's held-out requests."""
    world: Annotated[Miniature | FilesAndEndpoints, tyro.conf.AvoidSubcommands] = field(
        default_factory=lambda: Miniature(judge="verifier")
    )
    policy: Flat[TrainedPolicyConfig] = field(
        default_factory=lambda: TrainedPolicyConfig(policy="base")
    )
    sft: SFTConfig = field(default_factory=SFTConfig)
    distributed: DistributedConfig = field(default_factory=DistributedConfig)
    evaluation: Flat[EvaluationConfig] = field(default_factory=EvaluationConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    run: Flat[RunConfig] = field(default_factory=RunConfig)

    def __post_init__(self) -> None:
        if not 0 < self.held_out_share < 1:
            raise ValueError(f"held_out_share is {self.held_out_share}; wants more than 0, below 1")
        for name in ("loss_every", "evaluate_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; wants 1 or more")

    def problems(self) -> Iterator[str]:
        """What is wrong with the folders, a line each."""
        if not self.data.is_dir():
            make = f"uv run experiments/synthesize.py --requests 5000 --out {self.data}"
            yield f"--data: no folder {self.data}; make it with {make}"
        if self.out is not None and self.out.exists():
            try:
                policies.check_architecture(self.out)
            except ValueError:  # a run's folder has a config.json too
                yield f"--out: {self.out} exists and is no policy; give a new folder"
        begun_with = self.policy.folder(self.world.policies)
        if self.out is not None and self.out.resolve() == begun_with.resolve():
            yield f"--out: {self.out} is what it begins with; give another folder"


PAPER = ColdStartConfig(
    world=FilesAndEndpoints(
        tool="flux-8step", tool_device="cuda:1", judge_model="Qwen/Qwen3-VL-30B-A3B-Instruct"
    ),
    policy=TrainedPolicyConfig(
        policy="", device="cuda", dtype="bfloat16", checkpoint_activations=True
    ),
    sft=SFTConfig(micro_batch_tokens=16384, render_threads=4),
    evaluation=EvaluationConfig(held_out=280),
    sampling=SamplingConfig(max_turn_tokens=2048, max_response_tokens=8192, max_batch=32),
    run=RunConfig(checkpoint_every=10),  # 3,475 records are 41 steps
)
PRESETS = {
    "miniature": ColdStartConfig(sft=COLD_START, run=RunConfig(threads=1, checkpoint_every=25)),
    "smoke": ColdStartConfig(
        held_out_share=0.2,
        loss_every=2,
        evaluate_every=2,
        sft=replace(COLD_START, batch_size=4, epochs=1.0),
        evaluation=EvaluationConfig(held_out=20),
        run=RunConfig(threads=1, trial=True),
    ),
    "qwen2.5-vl-7b": PAPER,
    "qwen3-vl-8b": PAPER,
}


def main(config: ColdStartConfig, run: Run) -> None:
    """Evaluate, learn, evaluate; everything goes to MLflow and the run's folder."""
    ranks = config.distributed.join(config.policy.device)
    ranks.first(lambda: refuse(problems(config)))
    run.join(ranks)
    records = RecordFolder(config.data)
    split = policies.split_records(records, held_out=config.held_out_share)
    config.sft.total_steps(len(split.taught))

    world = evaluated(config).open(run.memory, seed=config.run.seed)
    world = with_kept_pictures(world, run.pictures, run.memory)
    split.check_words(world.words)
    run.made_with(
        policy=config.policy.name(world.policies),
        records=records.digest(),
        held_out=requests_digest(world.held_out),
    )
    policy = config.policy.load(world.policies, saved=run.saved_policy, words=world.words)
    learnt = policies.RecordSet(policy, records, split.taught, config.sft)
    held_out_records = policies.RecordSet(policy, records, split.held_out, config.sft)
    plan = policies.BatchPlan(learnt.sizes, config.sft, seed=config.run.seed, ranks=ranks)
    print_line(f"learning from {learnt}, in {plan}; held out are {held_out_records}")
    team = {"ranks": ranks, "distributed": config.distributed}
    update = policies.SFTUpdate(policy, config.sft, total_steps=plan.total_steps, **team)
    engine = config.engine.open(policy, config.sampling, run.folder, ranks)
    held_out = evenly_by_task(world.held_out, config.evaluation.held_out)

    def look(requests: Sequence[Request], progress: Callable[[int, int], None]) -> list[Outcome]:
        engine.publish()
        how = {"seed": config.run.seed, "max_rounds": config.evaluation.evaluation_rounds}
        shown = {"pictures": run.pictures, "progress": progress, "ranks": ranks}
        return rollout.evaluate(engine, world, requests, **how, **shown)

    def held_out_loss() -> "policies.HeldOutLoss":
        how = {"micro_batch_tokens": config.sft.micro_batch_tokens, "ranks": ranks}
        return policies.evaluate_loss(policy, held_out_records, lockstep=update.lockstep, **how)

    with run.recording(update):
        before = run.evaluate(0, world, held_out, look)
        with learnt.rendering(plan.parts_from(run.step)) as rendered:
            for step in run.steps(plan.total_steps):
                parts, tokens = len(plan.parts(step)), plan.policy_tokens(step)
                with run.update():
                    report = update.step_in_parts(islice(rendered, parts), policy_tokens=tokens)
                is_due = run.step % config.loss_every == 0
                run.log(report.metrics(), held_out_loss().metrics() if is_due else {})
                if run.step % config.evaluate_every == 0:
                    run.evaluate(run.step, world, held_out, look)
        after = run.evaluate(run.step, world, held_out, look)
        ways = {"conduct_before": conduct(before), "conduct_after": conduct(after)}
        title = f"conduct, % [95 % interval] (near: within {NEAR} words of the request)"
        run.table("conduct", title, conduct_rows(*ways.values()))
        figures = {"micro_batch_fill": plan.fill, "held_out_records": asdict(held_out_loss())}
        if config.out is not None:
            policy.save(config.out, ranks)
        figures |= {name: way.figures() for name, way in ways.items()}
        run.conclude(before, after, figures, asking=config.world.asking)
        ranks.leave()


def problems(config: ColdStartConfig, *, before_launch: bool = False) -> list[str]:
    """What keeps it from running, a line each; nothing is loaded. Before the launch no server is
    asked."""
    asks = not before_launch
    return [
        *config.distributed.problems(
            device=config.policy.device,
            freeze_vision=config.sft.freeze_vision,
            lora_rank=config.policy.lora_rank,
            before_launch=before_launch,
        ),
        *config.problems(),
        *config.policy.problems(config.world.policies),
        *evaluated(config).problems(ask_servers=asks),
        *config.engine.problems(
            config.sampling, changing="training changes the weights", ask_servers=asks
        ),
    ]


def evaluated(config: ColdStartConfig) -> Miniature | FilesAndEndpoints:
    """The world, in which no training request is asked for, so that none need be given."""
    return replace(config.world, train=config.world.train or config.world.held_out)


def plan(config: ColdStartConfig, words: Sequence[str]) -> None:
    """What a run would take, on the terminal."""
    records = None
    if config.data.is_dir():
        split = policies.split_records(RecordFolder(config.data), held_out=config.held_out_share)
        records = len(split.taught)
    planning.plan_sft(
        words,
        policy=config.policy,
        shipped=config.world.policies,
        sft=config.sft,
        evaluation=config.evaluation,
        engine=config.engine,
        run=config.run,
        distributed=config.distributed,
        records=records,
        default=planning.MINIATURE if isinstance(config.world, Miniature) else None,
    )


if __name__ == "__main__":
    check = partial(problems, before_launch=True)
    run_experiment("sft", main, ColdStartConfig, PRESETS, check=check, plan=plan)
