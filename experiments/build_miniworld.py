"""Build the miniature: train every weight that ships with it, from seeds, on two cores.

Stages, each kept in the work folder and skipped when it is already there, so that an interrupted
build goes on where it stopped:

1. ``vae``: the autoencoder of flux-mini;
2. ``flux-mini``: its transformer and text encoders, by flow matching;
3. ``vision``: a policy whose vision tower knows what is in each cell, and no words yet;
4. ``reading``: the same with the protocol, the lore and judgement;
5. ``base``: what an untaught model is like;
6. ``sft``: the cold start from ``base`` on records as ``synthesize.py`` makes them;
7. ``sana-mini`` and ``qwen-image-mini`` with autoencoders of their own, the other tools;
8. ``judge-vision``: the judge's eyes, on what all tools draw for the teacher and for ``sft``;
9. ``judge-mini``: the judge, from ``reading`` and these eyes.

It ends with a table of what each part can do on held-out requests, which is in the run's
``summary.json`` and in MLflow too.
"""

from genagent_tracking import quit_on_interrupt

if __name__ == "__main__":
    quit_on_interrupt()  # the imports below take a second

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from genagent_building.training import (
    COLD_START,
    JUDGE_VISION,
    JudgeTraining,
    PolicyTraining,
    ToolTraining,
    VisionTraining,
)
from genagent_data import write_text
from genagent_tracking import (
    Flat,
    Run,
    RunConfig,
    print_line,
    run_experiment,
    waiting,
)

SANA_TRAINING = ToolTraining(vae_steps=1500, flow_steps=1700, dropped=0.1)
"""The weaker tool: fewer lessons for fewer parameters."""
QWEN_IMAGE_TRAINING = ToolTraining(
    vae_steps=3000,
    vae_learning_rate=3e-3,
    vae_batch=8,
    flow_steps=6000,
    scenes=32000,
    terse=0.4,
    answers=0.7,
    dropped=0.05,
)
"""The stronger one: as often as not it is asked as people ask."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildConfig:
    """Everything a build depends on."""

    run: Flat[RunConfig] = field(default_factory=RunConfig)
    work: Path = Path("build/miniworld")
    """Folder of the stages; remove one to build it again."""
    install: bool = False
    """Put the result where the package ships its weights."""
    held_out: int = 400
    """Requests behind each figure of the table."""
    tool: ToolTraining = field(default_factory=ToolTraining)
    sana: ToolTraining = field(default_factory=lambda: SANA_TRAINING)
    qwen_image: ToolTraining = field(default_factory=lambda: QWEN_IMAGE_TRAINING)
    policy: PolicyTraining = field(default_factory=PolicyTraining)
    judge: JudgeTraining = field(default_factory=JudgeTraining)

    def __post_init__(self) -> None:
        if self.held_out < 1:
            raise ValueError(f"held_out is {self.held_out}; wants 1 or more")


PRESETS = {
    "full": BuildConfig(),
    "smoke": BuildConfig(
        work=Path("build/smoke"),
        run=RunConfig(trial=True),
        held_out=20,
        tool=ToolTraining(vae_steps=4, flow_steps=4, scenes=128),
        sana=ToolTraining(vae_steps=4, flow_steps=4, scenes=128),
        qwen_image=ToolTraining(vae_steps=4, flow_steps=4, scenes=128),
        policy=PolicyTraining(
            vision=VisionTraining(steps=2, pictures=64),
            reading_steps=4,
            base_steps=2,
            trajectories=40,
            requests=80,
            records_by="shipped",
            cold_start=replace(COLD_START, batch_size=8, epochs=1.0),
        ),
        judge=JudgeTraining(
            cases=24, agent_cases=12, vision=replace(JUDGE_VISION, steps=2, batch=16), steps=2
        ),
    ),
}


def main(config: BuildConfig, run: Run) -> None:
    """Run the stages that are missing, then measure."""
    # Seconds of torch, diffusers and transformers, which --help does without.
    from genagent_building.flux import FLUX
    from genagent_building.qwen_image import QWEN_IMAGE
    from genagent_building.report import markdown
    from genagent_building.sana import SANA
    from genagent_building.stages import judge_stages, policy_stages, tool_stages
    from genagent_building.weights_report import built_figures, install
    from genagent_miniworld.load import quietly

    quietly()
    work, seed, count = config.work, config.run.seed, config.held_out
    with run.recording():
        tool_stages(FLUX, config.tool, work, vae="vae")
        policy_stages(config.policy, work, seed=seed, held_out=count)
        tool_stages(SANA, config.sana, work, vae="sana-vae")
        tool_stages(QWEN_IMAGE, config.qwen_image, work, vae="qwen-image-vae")
        judge_stages(config.judge, work, seed=seed, store=run.pictures)
        with waiting(f"measuring each part on {count} held-out requests"):
            figures = built_figures(work, count=count, seed=seed, store=run.pictures)
        rows = [
            {"part": f.part, "what": f.what, "share": str(f.rate), "of": str(f.rate.trials)}
            for f in figures
        ]
        run.say_table("held-out requests, 95 % intervals", rows, has_total=False, words=2)
        run.tracker.table("parts", rows)
        names = [re.sub(r"[^a-z0-9]+", "-", f.what) for f in figures]
        run.tracker.log(
            {f"{f.part}/{name}": f.rate.value for f, name in zip(figures, names, strict=True)}, 0
        )
        write_text(work / "README.md", markdown(figures, _facts(config)))
        run.say(str(work / "README.md"))
        if config.install:
            print_line(f"installed in {install(work)}")
        else:
            run.next.append(f"uv run experiments/{run.name}.py --install")
        run.finish(
            {
                "held_out": count,
                "work": str(work),
                "parts": [
                    {
                        "part": f.part,
                        "what": f.what,
                        "value": f.rate.value,
                        "interval": f.rate.interval,
                        "n": f.rate.trials,
                    }
                    for f in figures
                ],
            }
        )


def _facts(config: BuildConfig) -> dict[str, str]:
    """What the weights' page says of how they were built."""
    return {
        "seed": str(config.run.seed),
        "built by": "`uv run experiments/build_miniworld.py`",
        **{
            name: f"{training.vae_steps} + {training.flow_steps} steps"
            for name, training in (
                ("flux-mini", config.tool),
                ("sana-mini", config.sana),
                ("qwen-image-mini", config.qwen_image),
            )
        },
        "policies": f"vision {config.policy.vision.steps} steps, "
        f"reading {config.policy.reading_steps}, "
        f"base {config.policy.base_steps}; sft {config.policy.cold_start.epochs:g} epochs of the "
        f"records of {config.policy.requests} requests",
        "judge-mini": f"vision {config.judge.vision.steps} steps, {config.judge.steps} more",
    }


if __name__ == "__main__":
    run_experiment("build_miniworld", main, BuildConfig, PRESETS, keeps_its_work=True)
