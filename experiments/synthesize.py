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
the same command goes on with it, however it was ended.
"""

from genagent_tracking import quit_on_interrupt

if __name__ == "__main__":
    quit_on_interrupt()  # the imports below take a second

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import tyro

from genagent_data import (
    Funnel,
    PoolConfig,
    Request,
    StageFigures,
    SynthesisConfig,
    SynthesisServices,
    pooled,
    read_pool,
    synthesize,
    write_hard_requests,
)
from genagent_miniworld import Miniature, ScriptedTeacher
from genagent_tracking import (
    Flat,
    Run,
    RunConfig,
    funnel_progress,
    lock_folder,
    print_line,
    print_table,
    refuse,
    run_experiment,
)
from genagent_worlds import ChatTeachers, FilesAndEndpoints, World

WORK = "work"
"""Folder in the output of what was paid for."""
STEP = 512
"""Requests that are sampled at a time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SynthesizeConfig:
    """Everything the data depend on."""

    world: Annotated[Miniature | FilesAndEndpoints, tyro.conf.AvoidSubcommands] = field(
        default_factory=Miniature
    )
    teacher: Annotated[ScriptedTeacher | ChatTeachers, tyro.conf.AvoidSubcommands] = field(
        default_factory=ScriptedTeacher
    )
    requests: str = "1000"
    """How many of the world's training requests, or a file of requests (.jsonl, .json, one prompt
    a line; GenEval++'s, WISE's and Imagine's own, an Echo-4o-Image folder)."""
    pool: PoolConfig = field(default_factory=PoolConfig)
    """More such files, and what must not be in them."""
    hard_each: int = 0
    """New requests of each task type that the opening teacher writes after the file's."""
    out: Path = Path("synthesized")
    """Folder of the records and of the work on them."""
    licence: str = ""
    """For the data card, as a hub names it, such as cc-by-4.0."""
    synthesis: Flat[SynthesisConfig] = field(default_factory=SynthesisConfig)
    run: Flat[RunConfig] = field(default_factory=RunConfig)

    def __post_init__(self) -> None:
        if self.requests.isdecimal() and int(self.requests) < 1:
            raise ValueError(f"requests is {self.requests}; wants 1 or more, or a file")
        if self.hard_each < 0:
            raise ValueError(f"hard_each is {self.hard_each}; wants 0 or more")

    @property
    def files(self) -> tuple[Path, ...]:
        """All that are pooled; none where the world's own requests are taken."""
        return (() if self.requests.isdecimal() else (Path(self.requests),)) + self.pool.files

    @property
    def pooled(self) -> PoolConfig:
        """The pool with every file; a number of requests is its limit."""
        limit = int(self.requests) if self.requests.isdecimal() else self.pool.limit
        return replace(self.pool, files=self.files, limit=limit)

    def problems(self) -> list[str]:
        """What is wrong with files, world and teacher, a line each."""
        lines = [*self.opened().problems(), *self.teacher.problems(), *self.pooled.problems()]
        if self.hard_each and not (self.files and isinstance(self.teacher, ChatTeachers)):
            lines.append("--hard-each wants a file of requests with hints, and teachers that write")
        return list(dict.fromkeys(lines))

    def opened(self) -> Miniature | FilesAndEndpoints:
        """The world with the first file as its training requests. Nothing here is held out, so that
        a world of files needs no file for it."""
        if not self.files and isinstance(self.world, Miniature):
            return self.world
        train = self.files[0] if self.files else self.world.train
        return replace(self.world, train=train, held_out=self.world.held_out or train)


PRESETS = {
    "miniature": SynthesizeConfig(licence="apache-2.0", run=RunConfig(threads=1)),
    "smoke": SynthesizeConfig(
        requests="48",
        out=Path("synthesized-smoke"),
        licence="apache-2.0",
        synthesis=SynthesisConfig(chunk=16, batch=16),
        run=RunConfig(threads=1),
    ),
    "qwen-teachers": SynthesizeConfig(
        world=FilesAndEndpoints(tool_device="cuda", judge_model="Qwen/Qwen3-VL-30B-A3B-Instruct"),
        teacher=ChatTeachers(),
        requests="requests.jsonl",
    ),
}


def main(config: SynthesizeConfig, run: Run) -> None:
    """Open world and teacher, synthesize, show the funnel."""
    world_config = config.opened()
    # One file may be both what is learnt from and what is held out.
    refuse(config.problems())
    work = config.out / WORK
    work.mkdir(parents=True, exist_ok=True)
    held = lock_folder(work)
    world = world_config.open(work, seed=config.run.seed)
    teacher = config.teacher.load(work, words=world.words)
    total, requests, pool = requests_of(config, world)
    services = SynthesisServices(
        tool=world.tool,
        tool_name=service_name(world_config.tool, world_config.tool_model),
        point=world.judges.point,
        pair=world.judges.pair,
        judge_name=service_name(world_config.judge, world_config.judge_model),
        at_once=world.judges.at_once,
        words=world.words,
    )
    about = {
        "sources": ", ".join(map(str, config.files)) or f"{total} requests of the training split",
        "licence": config.licence,
    }
    with run.recording():
        with funnel_progress(total) as progress:
            funnel = synthesize(
                requests,
                services,
                teacher,
                config.synthesis,
                config.out,
                seed=config.run.seed,
                pool=pool,
                about=about,
                progress=progress,
            )
        conclude(config, run, funnel)
    held.close()


def service_name(name: str, model: str) -> str:
    """By the model where it has a name: servers move, and what they drew stays paid for."""
    return model or ("served" if name.startswith(("http://", "https://")) else name)


def requests_of(
    config: SynthesizeConfig, world: World
) -> tuple[int, Iterable[Request], StageFigures | None]:
    """How many there are, each in turn, and what pooling dropped."""
    if config.files:
        requests = list(read_pool(config.files))
        requests += written(config, requests) if config.hard_each else ()
        kept, figures = pooled(requests, config.pooled)
        return len(kept), kept, figures
    total = int(config.requests)

    def sampled() -> Iterator[Request]:
        for step, start in enumerate(range(0, total, STEP)):
            # A whole step each time, so that more requests begin with the same ones.
            batch = world.train.sample(STEP, seed=config.run.seed, step=step)
            yield from batch[: total - start]

    return total, sampled(), None


def written(config: SynthesizeConfig, examples: Sequence[Request]) -> tuple[Request, ...]:
    """Hard requests by the teacher, after examples that have hints."""
    assert isinstance(config.teacher, ChatTeachers)
    chat = config.teacher.writer(config.out / WORK)
    seeds = [request for request in examples if request.hints]
    made = write_hard_requests(chat, seeds=seeds, each=config.hard_each, seed=config.run.seed)
    print_line(f"{len(made.requests)} hard requests written, {made.missing} missing")
    for line in made.errors:
        print_line(line)
    return made.requests


def conclude(config: SynthesizeConfig, run: Run, funnel: Funnel) -> None:
    """The table, the time, what went wrong, and where the records are."""
    rows = funnel.rows()
    print_table(f"{funnel.records} records out of {funnel.requests} requests", rows)
    shares = sorted(funnel.shares.items(), key=lambda item: -item[1])
    print_line("time: " + ", ".join(f"{name} {share:.0%}" for name, share in shares if share))
    for line in funnel.service_lines():
        print_line(line)
    run.tracker.log(funnel.metrics(), 0)
    run.tracker.table("funnel", rows)
    run.tracker.artifact(config.out / "funnel.png")
    run.tracker.artifact(config.out / "README.md")
    print_line(f"records, pictures and data card: {config.out}")
    run.finish(
        {
            "out": str(config.out),
            "requests": funnel.requests,
            "records": funnel.records,
            "endings": dict(funnel.endings),
            "tasks": dict(funnel.tasks),
            "time_shares": funnel.shares,
        }
    )


if __name__ == "__main__":
    run_experiment("synthesize", main, SynthesizeConfig, PRESETS)
