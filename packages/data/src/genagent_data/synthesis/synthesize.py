"""Trajectories to begin to learn from (GenAgent, 2601.18543, section 3.2), out of requests.

    requests → hard → open → draw → judge → reflect → redraw → close → balance → records

A folder holds what was made, and beside it, under ``work``, all that was paid for on the way:

    README.md, funnel.png    the data card
    records.parquet, pictures  the records
    work/stages              every request's fate, stage by stage
    work/answers.sqlite      the teacher's words, and which picture is which
    work/drawn               the pictures

Killed at any moment, the same call goes on from there and pays for nothing twice.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from genagent_data.pictures import PictureStore
from genagent_data.record import Record
from genagent_data.record_files import write_records
from genagent_data.request import Request
from genagent_data.synthesis.balance import balance
from genagent_data.synthesis.card import data_card, plot_funnel
from genagent_data.synthesis.chunks import Chunks
from genagent_data.synthesis.funnel import Funnel, StageFigures
from genagent_data.synthesis.line import INTAKE, Line
from genagent_data.synthesis.painter import Painter, Turns
from genagent_data.synthesis.stages import STAGES, Bench
from genagent_data.synthesis.teacher import Teacher
from genagent_data.text_files import write_text
from genagent_rewards import ComparesPictures, JudgesPictures, KeptAnswers
from genagent_tools import ImageTool

BALANCE = "balance"
WORK = "work"


@dataclass(frozen=True, kw_only=True, slots=True)
class SynthesisConfig:
    """How trajectories are made and which are kept."""

    plain: int = 3
    """Pictures of the bare request that must all fail."""
    unfinished: float = 0.1
    """Share of the records that do not end in an answer, in each task."""
    task_ratio: float = 1.5
    """How many times the median task's number of records a task may have."""
    chunk: int = 64
    """Requests that go through the stages together."""
    workers: int = 2
    """Chunks in one stage at a time."""
    batch: int = 64
    """Pictures at a time of a tool in this process."""

    def __post_init__(self) -> None:
        for name in ("plain", "chunk", "workers", "batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; wants 1 or more")
        if not 0 <= self.unfinished < 1:
            raise ValueError(f"unfinished is {self.unfinished}; wants 0 or more, below 1")
        if not self.task_ratio > 0:
            raise ValueError(f"task_ratio is {self.task_ratio}; wants more than 0")


@dataclass(frozen=True, kw_only=True, slots=True)
class SynthesisServices:
    """What draws and what judges."""

    tool: ImageTool
    tool_name: str
    """Tells tools and their settings apart: pictures are kept under it."""
    point: JudgesPictures
    pair: ComparesPictures
    judge_name: str
    at_once: bool = False
    """Whether the judges take several callers at a time, as those behind endpoints do."""
    words: int | None = None
    """Words of a prompt that the tool reads."""


def synthesize(
    requests: Iterable[Request],
    services: SynthesisServices,
    teacher: Teacher,
    config: SynthesisConfig,
    folder: Path,
    *,
    seed: int = 0,
    pool: StageFigures | None = None,
    about: Mapping[str, str] | None = None,
    progress: Callable[[Funnel], None] | None = None,
) -> Funnel:
    """Make records of requests in ``folder``, or go on making them.

    Args:
        requests: read once, a chunk at a time; the same in the same order where this goes on.
        pool: what ``pooled`` kept and dropped before, for the funnel.
        about: lines for the data card, such as ``sources`` and ``licence``.
        progress: hears the counts as they grow, from any thread, one at a time.

    Returns:
        What was kept and dropped, which is on the data card too.

    Raises:
        ValueError: the folder was begun with other requests or settings, or a service takes no
            request of ours.
        OSError: something cannot be written, or a service has gone down; what was paid
            for is kept.
    """
    work = folder / WORK
    made_with = {
        "teacher": teacher.name,
        "tool": services.tool_name,
        "judge": services.judge_name,
        "seed": str(seed),
        **{name: str(value) for name, value in asdict(config).items() if name != "workers"},
    }
    made_with = _settled(work, made_with)
    names = (INTAKE, *STAGES)
    tally = {} if pool is None else {pool.name: pool}
    tally |= {name: StageFigures(name=name) for name in (*names, BALANCE)}

    def counted(figures: StageFigures) -> None:
        tally[figures.name] += figures
        if progress is not None:
            progress(Funnel(stages=tuple(tally.values())))

    chunks = Chunks(work / "stages", names)
    store = PictureStore(work / "drawn")
    with KeptAnswers(work / "answers.sqlite") as kept:
        painter = Painter(
            services.tool, name=made_with["tool"], store=store, kept=kept, batch=config.batch
        )
        bench = Bench(
            teacher=teacher,
            painter=painter,
            point=services.point,
            pair=services.pair,
            judging=Turns("judging", at_once=services.at_once),
            plain=config.plain,
            seed=seed,
        )
        line = Line(bench, chunks, workers=config.workers, counted=counted)
        number = line.run(requests, size=config.chunk)

    started = time.perf_counter()
    balanced = balance(
        (draft for _, draft in chunks.kept(len(STAGES), number)),
        unfinished=config.unfinished,
        task_ratio=config.task_ratio,
        seed=seed,
    )
    endings: Counter[str] = Counter()
    tasks: Counter[str] = Counter()

    def records() -> Iterator[Record]:
        for _, draft in chunks.kept(len(STAGES), number):
            if draft.request.id not in balanced.dropped:
                endings[str(draft.ending)] += 1
                tasks[draft.request.task] += 1
                yield draft.record(store, words=services.words)

    write_records(folder, records())
    figures = StageFigures(
        name=BALANCE,
        kept=endings.total(),
        drops=dict(Counter(balanced.dropped.values())),
        seconds=time.perf_counter() - started,
    )
    counted(figures)
    funnel = Funnel(
        stages=tuple(tally.values()),
        endings=dict(sorted(endings.items())),
        tasks=dict(sorted(tasks.items())),
        short=balanced.short,
    )
    plot_funnel(folder / "funnel.png", funnel)
    write_text(folder / "README.md", data_card(funnel, {**(about or {}), **made_with}))
    return funnel


def _settled(work: Path, made_with: Mapping[str, str]) -> Mapping[str, str]:
    """Notes what the folder is made with, or finds it noted; raises ValueError where it was begun
    otherwise."""
    path = work / "made_with.json"
    if not path.exists():
        work.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(made_with, indent=2))
        return made_with
    before = json.loads(path.read_text(encoding="utf-8"))
    # Servers that have come to say what they draw with are the same ones, and their pictures kept.
    if made_with["tool"].startswith(f"{before.get('tool')} "):
        made_with = {**made_with, "tool": before["tool"]}
    for name in before.keys() | made_with.keys():
        if before.get(name) != made_with.get(name):
            raise ValueError(
                f"{work.parent} was begun with {name} {before.get(name)!r}, now it is "
                f"{made_with.get(name)!r}; give the settings that it had, or another folder"
            )
    return made_with
