"""Build the miniature: train every weight that ships with it, from seeds, on two cores.

Stages, each kept in the work folder and skipped when it is already there, so that an interrupted
build goes on where it stopped:

1. ``vae``: the autoencoder of flux-mini;
2. ``flux-mini``: its transformer and text encoders, by flow matching;
3. ``vision``: a policy whose vision tower knows what is in each cell, and no words yet;
4. ``reading``: the same with the protocol, the lore and judgement;
5. ``base``: what an untaught model is like;
6. ``sft``: the cold start from ``base`` on the teacher's trajectories;
7. ``sana-mini`` and ``qwen-image-mini`` with autoencoders of their own, the other tools;
8. ``judge-vision``: the judge's eyes, on what all tools draw for the teacher and for ``sft``;
9. ``judge-mini``: the judge, from ``reading`` and these eyes.

It ends with a table of what each part can do on held-out requests.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from genagent_building.eyes import VisionTraining, pictures_read, train_vision
from genagent_building.flux import FLUX
from genagent_building.judge import (
    JUDGE_VISION,
    JudgeTraining,
    build_judge,
    train_judge,
    train_judge_vision,
)
from genagent_building.judge_cases import (
    Case,
    agent_cases,
    drawn_cases,
    load_cases,
    save_cases,
)
from genagent_building.judge_report import judge_figures
from genagent_building.lessons import Lesson, cold_start_lessons, drawn_pictures
from genagent_building.policies import (
    PolicyTraining,
    train_base,
    train_reading,
    train_sft,
)
from genagent_building.policy import build_policy
from genagent_building.qwen_image import QWEN_IMAGE
from genagent_building.report import markdown, policy_figures, tool_figures
from genagent_building.sana import SANA
from genagent_building.tool import Family, ToolTraining, train_flow, train_vae
from genagent_data import PictureStore
from genagent_miniworld import POLICIES, TOOLS, Teacher, load_judge, sample_requests, weights
from genagent_policy import Policy
from genagent_tools import DiffusersTool
from genagent_tracking import (
    Flat,
    Run,
    RunConfig,
    print_line,
    print_table,
    run_experiment,
    step_progress,
    write_text,
)
from genagent_worlds import rate

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
    threads: int = 0
    """CPU threads; 0 leaves it to torch."""
    tool: ToolTraining = field(default_factory=ToolTraining)
    sana: ToolTraining = field(default_factory=lambda: SANA_TRAINING)
    qwen_image: ToolTraining = field(default_factory=lambda: QWEN_IMAGE_TRAINING)
    policy: PolicyTraining = field(default_factory=PolicyTraining)
    judge: JudgeTraining = field(default_factory=JudgeTraining)

    def __post_init__(self) -> None:
        if self.held_out < 1 or self.threads < 0:
            raise ValueError(f"held_out {self.held_out} and threads {self.threads} want 1 and 0 up")


PRESETS = {
    "full": BuildConfig(),
    "smoke": BuildConfig(
        work=Path("build/smoke"),
        held_out=20,
        tool=ToolTraining(vae_steps=4, flow_steps=4, scenes=128),
        sana=ToolTraining(vae_steps=4, flow_steps=4, scenes=128),
        qwen_image=ToolTraining(vae_steps=4, flow_steps=4, scenes=128),
        policy=PolicyTraining(
            vision=VisionTraining(steps=2, pictures=64),
            reading_steps=4,
            base_steps=2,
            cold_start_steps=2,
            trajectories=40,
        ),
        judge=JudgeTraining(
            cases=24, agent_cases=12, vision=replace(JUDGE_VISION, steps=2, batch=16), steps=2
        ),
    ),
}


def main(config: BuildConfig, run: Run) -> None:
    """Run the stages that are missing, then measure."""
    if config.threads:
        torch.set_num_threads(config.threads)
    work = config.work

    _build_tool(FLUX, config.tool, work, vae="vae")
    tool = _tool("flux-mini", work)
    lessons: list[Lesson] = []

    def drawn_lessons() -> Sequence[Lesson]:
        if not lessons:
            count = config.policy.trajectories
            print_line(f"drawing {count} trajectories of the teacher")
            lessons.extend(cold_start_lessons(count, tool, Teacher(), seed=config.run.seed))
        return lessons

    training = config.policy

    def vision_stage() -> None:
        policy = build_policy(config.run.seed)
        pictures = drawn_pictures(training.vision.pictures, tool, seed=config.run.seed)
        with _bar("vision", training.vision.steps) as report:
            head = train_vision(policy, pictures, training.vision, report, seed=config.run.seed)
        unseen = drawn_pictures(config.held_out, tool, seed=config.run.seed, split="held-out")
        share = rate(pictures_read(policy, head, unseen))
        print_line(f"held-out drawn pictures read without error: {share}")
        policy.save(work / "vision.partial")

    _stage(work / "vision", vision_stage)
    for start, name, steps, train in (
        ("vision", "reading", training.reading_steps, train_reading),
        ("reading", "base", training.base_steps, train_base),
        ("base", "sft", training.cold_start_steps, train_sft),
    ):

        def policy_stage(start=start, name=name, steps=steps, train=train) -> None:
            policy = Policy.load(work / start)
            with _bar(name, steps) as report:
                train(policy, drawn_lessons(), training, lambda step, sft: report(step, sft.loss))
            policy.save(work / f"{name}.partial")

        _stage(work / name, policy_stage)
    _build_tool(SANA, config.sana, work, vae="sana-vae")
    _build_tool(QWEN_IMAGE, config.qwen_image, work, vae="qwen-image-vae")
    _build_judge(config, run.pictures)
    _measure(config, run.pictures)
    if config.install:
        for name in (*TOOLS, *POLICIES, "judge-mini"):
            shutil.copytree(work / name, weights(name), dirs_exist_ok=True)
        shutil.copy(work / "README.md", weights("README.md"))
        print_line(f"installed in {weights('')}")


def _build_tool(family: Family, training: ToolTraining, work: Path, *, vae: str) -> None:
    """The two stages of a tool; ``<name>-preview`` is usable from the thousandth step on."""

    def vae_stage() -> None:
        with _bar(vae, training.vae_steps) as report:
            train_vae(family, training, report).save_pretrained(work / f"{vae}.partial")

    def flow_stage() -> None:
        trained = family.vae_class.from_pretrained(work / vae, low_cpu_mem_usage=False)
        trained.register_to_config(_name_or_path=f"{family.name}/vae")  # not where it came from
        trained.eval().requires_grad_(False)
        preview = work / f"{family.name}-preview"
        with _bar(family.name, training.flow_steps) as report:
            pipeline = train_flow(family, trained, training, report, checkpoint=preview)
        pipeline.to(family.stored).save_pretrained(work / f"{family.name}.partial")
        shutil.rmtree(preview, ignore_errors=True)

    _stage(work / vae, vae_stage)
    _stage(work / family.name, flow_stage)


def _build_judge(config: BuildConfig, store: PictureStore) -> None:
    training, work = config.judge, config.work
    cases: list[Case] = []

    def drawn() -> Sequence[Case]:
        if not cases:
            for number, name in enumerate(TOOLS):
                cases.extend(_cases(config, name, number, store))
        return cases

    def vision_stage() -> None:
        judge = build_judge(Policy.load(work / "reading"), seed=config.run.seed)
        with _bar("judge-vision", training.vision.steps) as report:
            train_judge_vision(judge, drawn(), training, report)
        judge.save(work / "judge-vision.partial")

    def judge_stage() -> None:
        judge = Policy.load(work / "judge-vision")
        with _bar("judge-mini", training.steps) as report:
            train_judge(judge, drawn(), training, lambda step, sft: report(step, sft.loss))
        judge.model.bfloat16()
        judge.save(work / "judge-mini.partial")

    _stage(work / "judge-vision", vision_stage)
    _stage(work / "judge-mini", judge_stage)


def _cases(config: BuildConfig, name: str, number: int, store: PictureStore) -> list[Case]:
    """What one tool draws for the teacher and for the agent, from a file if it is there."""
    path = config.work / f"judge-cases-{name}.npz"
    if not path.exists():
        training, tool = config.judge, _tool(name, config.work)
        print_line(f"{name} draws {2 * (training.cases + training.agent_cases)} pictures to judge")
        seed = config.run.seed + number
        agent = Policy.load(config.work / "sft")
        save_cases(
            drawn_cases(training.cases, tool, seed=seed)
            + agent_cases(training.agent_cases, agent, tool, seed=seed, store=store),
            path,
        )
    return load_cases(path)


def _tool(name: str, work: Path) -> DiffusersTool:
    return DiffusersTool.from_profile(TOOLS[name], path=work / name, device="cpu")


def _stage(path: Path, build: Callable[[], None]) -> None:
    """Build into ``<path>.partial`` and rename, unless it is there."""
    if path.exists():
        print_line(f"{path} is there")
        return
    partial = path.with_name(f"{path.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    build()
    partial.rename(path)


@contextmanager
def _bar(title: str, steps: int) -> Iterator[Callable[[int, float], None]]:
    """A bar whose reports are a step and its loss."""
    with step_progress(steps, title) as bar:
        yield lambda step, loss: bar.advance({"loss": loss})


def _measure(config: BuildConfig, store: PictureStore) -> None:
    """The table, on the terminal and as the weights' README."""
    requests = sample_requests(config.held_out, seed=config.run.seed + 1, split="held-out")
    tools = {name: _tool(name, config.work) for name in TOOLS}
    figures = [
        figure
        for name, tool in tools.items()
        for figure in tool_figures(name, tool, count=config.held_out, seed=config.run.seed + 2)
    ]
    for name in POLICIES:
        policy = Policy.load(config.work / name)
        figures += policy_figures(
            name, policy, tools["flux-mini"], requests, seed=config.run.seed, store=store
        )
    chat = load_judge(config.work / "judge-mini")
    for number, (name, tool) in enumerate(tools.items()):
        cases = drawn_cases(config.held_out, tool, seed=config.run.seed + number, split="held-out")
        figures += judge_figures(chat, cases, drawn_by=name)
    rows = [{"part": f.part, "what": f.what, "share": str(f.rate)} for f in figures]
    print_table("held-out requests, 95 % intervals", rows)
    facts = {
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
        f"base {config.policy.base_steps}, sft {config.policy.cold_start_steps} more",
        "judge-mini": f"vision {config.judge.vision.steps} steps, {config.judge.steps} more",
    }
    write_text(config.work / "README.md", markdown(figures, facts))
    print_line(str(config.work / "README.md"))


if __name__ == "__main__":
    run_experiment("build_miniworld", main, BuildConfig, PRESETS)
