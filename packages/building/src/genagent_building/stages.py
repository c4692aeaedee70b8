"""The stages of a build, each kept in the work folder and skipped when it is already there."""

import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from genagent_building.eye_training import pictures_read, train_vision
from genagent_building.judge import build_judge, train_judge, train_judge_vision
from genagent_building.judge_cases import (
    Case,
    agent_cases,
    drawn_cases,
    load_cases,
    save_cases,
)
from genagent_building.lessons import Lesson, cold_start_lessons, drawn_pictures
from genagent_building.midway import Midway
from genagent_building.policies import train_base, train_reading, train_sft
from genagent_building.policy import build_policy
from genagent_building.tool import Family, train_flow, train_vae
from genagent_building.training import JudgeTraining, PolicyTraining, ToolTraining
from genagent_data import (
    PictureStore,
    RecordFolder,
    SynthesisConfig,
    SynthesisServices,
    derive_seed,
    synthesize,
)
from genagent_miniworld import TOOLS, ScriptedTeacher, Teacher, Verifier, load_tool, weights
from genagent_miniworld.grammar import sample_requests
from genagent_policy import Policy
from genagent_tools import DiffusersTool, ImageTool
from genagent_tracking import funnel_progress, print_line, step_progress, waiting
from genagent_worlds import rate


def tool_stages(family: Family, training: ToolTraining, work: Path, *, vae: str) -> None:
    """``vae`` and the family's name; ``<name>-preview`` is usable from the thousandth step on."""

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


def policy_stages(training: PolicyTraining, work: Path, *, seed: int, held_out: int) -> None:
    """``vision``, ``reading``, ``base``, and ``sft`` with its records, on what flux-mini draws; the
    eyes are tried on ``held_out`` pictures."""
    tool = built_tool("flux-mini", work)
    lessons: list[Lesson] = []

    def drawn_lessons() -> Sequence[Lesson]:
        if not lessons:
            count = training.trajectories
            with waiting(f"drawing {count} trajectories of the teacher"):
                lessons.extend(cold_start_lessons(count, tool, Teacher(), seed=seed))
        return lessons

    def vision_stage() -> None:
        policy = build_policy(seed)
        with waiting(f"drawing {training.vision.pictures} pictures to look at"):
            pictures = drawn_pictures(training.vision.pictures, tool, seed=seed)
        with _bar("vision", training.vision.steps) as report:
            head = train_vision(policy, pictures, training.vision, report, seed=seed)
        with waiting("reading held-out pictures", at_once=False):
            unseen = drawn_pictures(held_out, tool, seed=seed, split="held-out")
            share = rate(pictures_read(policy, head, unseen))
        print_line(f"held-out drawn pictures read without error: {share}")
        policy.save(work / "vision.partial")

    _stage(work / "vision", vision_stage)
    for start, name, steps, train in (
        ("vision", "reading", training.reading_steps, train_reading),
        ("reading", "base", training.base_steps, train_base),
    ):

        def policy_stage(start=start, name=name, steps=steps, train=train) -> None:
            policy = Policy.load(work / start)
            with _bar(name, steps) as report:
                train(policy, drawn_lessons(), training, lambda step, sft: report(step, sft.loss))
            policy.save(work / f"{name}.partial")

        _stage(work / name, policy_stage)

    if training.records_by == "built":
        records_stage(work, training.requests, tool, drawn_by=work / "flux-mini", seed=seed)
    else:
        ships = weights("flux-mini")
        records_stage(work, training.requests, load_tool("flux-mini"), drawn_by=ships, seed=seed)

    def sft_stage() -> None:
        policy, folder = Policy.load(work / "base"), work / "synthesized"
        steps = training.cold_start.total_steps(len(RecordFolder(folder)))
        with _bar("sft", steps) as report:
            train_sft(
                policy,
                folder,
                training.cold_start,
                lambda step, sft: report(step, sft.loss),
                seed=seed,
            )
        policy.save(work / "sft.partial")

    _stage(work / "sft", sft_stage)


def records_stage(work: Path, count: int, tool: ImageTool, *, drawn_by: Path, seed: int) -> None:
    """``synthesized``: records of so many training requests. The truth judges, for the judge comes
    after ``sft``. Killed in its middle, it goes on there.

    Args:
        drawn_by: the tool's weights, by which it is known whose pictures are there already.
    """
    verifier = Verifier()
    services = SynthesisServices(
        tool=tool,
        tool_name=f"flux-mini@{_digest(drawn_by)[:12]}",
        point=verifier,
        pair=verifier,
        judge_name="verifier",
    )

    def synthesis() -> None:
        print_line(f"{count} requests are drawn, judged and drawn again")
        requests = sample_requests(count, seed=derive_seed(seed, "synthesis"), split="train")
        folder, config = work / "synthesized.partial", SynthesisConfig()
        with funnel_progress(count) as progress:
            teacher = ScriptedTeacher()
            synthesize(requests, services, teacher, config, folder, seed=seed, progress=progress)

    _stage(work / "synthesized", synthesis, goes_on=True)


def _digest(folder: Path) -> str:
    """Sha256 over the weights of a pipeline."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.safetensors")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def judge_stages(training: JudgeTraining, work: Path, *, seed: int, store: PictureStore) -> None:
    """``judge-vision`` and ``judge-mini``, on what every tool draws for the teacher and ``sft``.
    Killed in their middle, they go on there."""
    cases: list[Case] = []

    def drawn() -> Sequence[Case]:
        if not cases:
            for number, name in enumerate(TOOLS):
                cases.extend(_kept_cases(training, work, name, seed=seed + number, store=store))
        return cases

    def vision_stage() -> None:
        judge = build_judge(Policy.load(work / "reading"), seed=seed)
        midway = Midway(folder=work / "judge-vision.partial")
        with _bar("judge-vision", training.vision.steps, done=midway.latest()[0]) as report:
            train_judge_vision(judge, drawn(), training, report, midway=midway)
        judge.save(midway.folder)
        midway.clear()

    def judge_stage() -> None:
        judge = Policy.load(work / "judge-vision")
        midway = Midway(folder=work / "judge-mini.partial")

        with _bar("judge-mini", training.steps, done=midway.latest()[0]) as report:
            train_judge(
                *(judge, drawn(), training),
                lambda step, sft: report(step, sft.loss),
                midway=midway,
            )
        judge.model.bfloat16()
        judge.save(midway.folder)
        midway.clear()

    _stage(work / "judge-vision", vision_stage, goes_on=True)
    _stage(work / "judge-mini", judge_stage, goes_on=True)


def built_tool(name: str, work: Path) -> DiffusersTool:
    """The tool of that stage."""
    return DiffusersTool.from_profile(TOOLS[name], path=work / name, device="cpu")


def _kept_cases(
    training: JudgeTraining, work: Path, name: str, *, seed: int, store: PictureStore
) -> list[Case]:
    """What one tool draws for the teacher and for the agent, from a file if it is there."""
    path = work / f"judge-cases-{name}.npz"
    if not path.exists():
        tool = built_tool(name, work)
        count = 2 * (training.cases + training.agent_cases)
        with waiting(f"{name} draws {count} pictures to judge"):
            agent = Policy.load(work / "sft")
            save_cases(
                drawn_cases(training.cases, tool, seed=seed)
                + agent_cases(training.agent_cases, agent, tool, seed=seed, store=store),
                path,
            )
    return load_cases(path)


def _stage(path: Path, build: Callable[[], None], *, goes_on: bool = False) -> None:
    """Build into ``<path>.partial`` and rename, unless it is there.

    Args:
        goes_on: with what there is of it; otherwise it is begun anew.
    """
    if path.exists():
        print_line(f"{path} is there")
        return
    partial = path.with_name(f"{path.name}.partial")
    if not goes_on:
        shutil.rmtree(partial, ignore_errors=True)
    build()
    partial.rename(path)


@contextmanager
def _bar(title: str, steps: int, *, done: int = 0) -> Iterator[Callable[[int, float], None]]:
    """A bar whose reports are a step and its loss."""
    with step_progress(steps, title, done=done) as bar:
        yield lambda step, loss: bar.advance({"loss": loss})
