"""Trajectories to begin to learn from: the cold start's data (GenAgent, 2601.18543, section 3.2).

0. pool requests of any files, without near-duplicates and without what benchmarks ask;
1. keep those that the tool fails three times when it is given them as they are;
2. a teacher writes a thought and a prompt, the tool draws it, the teacher judges the picture;
3. where it is wrong, the teacher reflects, with the reference picture or the checklist as a hint,
   and the tool draws again;
4. drop what gives the hint away, what became no better, and what contradicts itself or the judge;
5. balance data types and endings; some trajectories do not end in an answer.

The miniature runs out of the box: ``uv run experiments/synthesize.py``. ``qwen-teachers`` takes
models behind endpoints and requests from a file. The output folder holds all that was paid for, and
the same command goes on with it, however it was ended. ``--plan`` says what a synthesis would take,
and asks nobody (``--plan --help``).
"""

from genagent_tracking import quit_on_interrupt

if __name__ == "__main__":
    quit_on_interrupt()  # the imports below take a second

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import tyro

import genagent_planning as planning  # what loads torch is taken from it when it is needed
from genagent_data import SynthesisConfig, funnel_so_far, synthesize, write_requests
from genagent_miniworld import Miniature, ScriptedTeacher
from genagent_tracking import (
    Flat,
    Run,
    RunConfig,
    funnel_progress,
    lock_folder,
    print_line,
    refuse,
    run_experiment,
)
from genagent_worlds import ChatTeachers, FileRequests, FilesAndEndpoints, RequestSource

WORK = "work"
"""Folder in the output of what was paid for."""
POOLED = "requests.jsonl"
"""What the pool has kept, in the output."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SynthesizeConfig:
    """Everything the data depend on."""

    world: Annotated[Miniature | FilesAndEndpoints, tyro.conf.AvoidSubcommands] = field(
        default_factory=Miniature
    )
    teacher: Annotated[ScriptedTeacher | ChatTeachers, tyro.conf.AvoidSubcommands] = field(
        default_factory=ScriptedTeacher
    )
    source: Flat[RequestSource] = field(default_factory=RequestSource)
    out: Path = Path("synthesized")
    """Folder of the records and of the work on them."""
    licence: str = ""
    """For the data card, as a hub names it, such as cc-by-4.0."""
    synthesis: Flat[SynthesisConfig] = field(default_factory=SynthesisConfig)
    run: Flat[RunConfig] = field(default_factory=RunConfig)


PRESETS = {
    "miniature": SynthesizeConfig(licence="apache-2.0", run=RunConfig(threads=1)),
    "smoke": SynthesizeConfig(
        source=RequestSource(requests="48"),
        out=Path("synthesized-smoke"),
        licence="apache-2.0",
        synthesis=SynthesisConfig(chunk=16, batch=16),
        run=RunConfig(threads=1, trial=True),
    ),
    "qwen-teachers": SynthesizeConfig(
        world=FilesAndEndpoints(tool_device="cuda", judge_model="Qwen/Qwen3-VL-30B-A3B-Instruct"),
        teacher=ChatTeachers(),
        source=RequestSource(requests="requests.jsonl"),
    ),
}


def main(config: SynthesizeConfig, run: Run) -> None:
    """Open world and teacher, synthesize, show the funnel."""
    seed, source, work = config.run.seed, config.source, config.out / WORK
    world_config = source.within(config.world)
    problems = [*world_config.problems(), *config.teacher.problems()]
    # One file may be both what is learnt from and what is held out.
    problems += source.problems(config.teacher)
    if (config.out / POOLED).resolve() in map(Path.resolve, source.files):
        problems.append(
            f"--out is {config.out}, where {POOLED} would be written over; give another"
        )
    refuse(list(dict.fromkeys(problems)))
    work.mkdir(parents=True, exist_ok=True)
    with lock_folder(work):
        world = world_config.open(work, seed=seed)
        teacher = config.teacher.load(work, words=world.words)
        asked = source.ask(world.train, config.teacher, work, seed=seed)
        for line in asked.lines:
            print_line(line)
        with run.recording():
            with funnel_progress(asked.count) as progress:
                funnel = synthesize(
                    asked.requests,
                    world_config.for_synthesis(world),
                    teacher,
                    config.synthesis,
                    config.out,
                    seed=seed,
                    pool=asked.pool,
                    about={"sources": asked.sources, "licence": config.licence},
                    progress=progress,
                )
            if asked.pool is not None:  # what RL may ask as well
                write_requests(config.out / POOLED, asked.requests)
            kind = "" if isinstance(config.world, Miniature) else "qwen2.5-vl-7b --policy FOLDER "
            run.next.append(f"uv run experiments/sft.py {kind}--data {config.out}")
            run.conclude_funnel(funnel, config.out)


def plan(config: SynthesizeConfig, words: Sequence[str]) -> None:
    """What a synthesis would take, on the terminal."""
    source, teacher, seed = config.source, config.teacher, config.run.seed
    is_miniature = isinstance(config.world, Miniature)
    default = planning.MINIATURE_SYNTHESIS if is_miniature else planning.SynthesisPlanConfig()
    default = replace(default, image_gpus=len(config.world.tool.split(",")))
    missing = [path for path in source.files if not path.exists()]
    requests: int | Path = missing[0] if missing else 0
    if not missing:
        # A world's own requests are counted and not sampled; hard ones are still to be written.
        known = replace(source, hard_each=0)
        asked = known.ask(FileRequests(()), teacher, config.out / WORK, seed=seed)
        requests = asked.count
        if source.files and requests:
            shown = sum(request.reference is not None for request in asked.requests)
            default = replace(default, references=round(shown / requests, 4))
    if source.hard_each:
        print_line(f"what --hard-each {source.hard_each} writes is not counted")
    is_model = isinstance(teacher, ChatTeachers)
    planning.plan_synthesis(
        words,
        requests=requests,
        plain=config.synthesis.plain,
        teacher_concurrency=teacher.open.concurrency if is_model else None,
        judge_concurrency=None if is_miniature else config.world.judge_concurrency,
        counted=funnel_so_far(config.out, config.synthesis, seed=seed),
        default=default,
    )


if __name__ == "__main__":
    run_experiment("synthesize", main, SynthesizeConfig, PRESETS, keeps_its_work=True, plan=plan)
