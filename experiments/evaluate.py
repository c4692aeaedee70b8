"""How good pictures are, however they came about: benchmarks, strategies, policies, tools.

1. each cell of policies x tools x strategies x rounds answers every request of a benchmark once,
   with the same seeds;
2. the benchmark's judge (in the miniature: the truth) scores every picture;
3. one table, with 95 % intervals, and what lies behind the scores: first picture, gain by
   reflection, broken turns, words changed, cost.

The miniature runs out of the box: ``uv run experiments/evaluate.py``. GenEval++, WISE and Imagine
take their official files (``--bench geneval++ --file Geneval++.jsonl``) and any policy, tool and
judge. Answers and verdicts are kept in ``--out``: the same command goes on, however it was ended,
and a second one does only what changed.
"""

from genagent_tracking import quit_on_interrupt

if __name__ == "__main__":
    quit_on_interrupt()  # the imports below take a second

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

import genagent_rollout as rollout  # what loads torch is taken from it when it is needed
from genagent_data import PictureStore, requests_digest
from genagent_miniworld import Miniature, ScriptedModel
from genagent_policy import PolicyConfig
from genagent_rollout import EngineConfig, SamplingConfig, StrategyConfig
from genagent_tracking import (
    Flat,
    Run,
    RunConfig,
    answer_progress,
    lock_folder,
    print_line,
    record_cell,
    refuse,
    run_experiment,
    show_cells,
    waiting,
)
from genagent_worlds import (
    BenchmarkConfig,
    EvaluationCell,
    FilesAndEndpoints,
    ScoredByJudge,
    ScoredCell,
    earlier_rows,
    read_pictures,
    served_by,
)

CELLS = "cells"
"""Folder in the output of each cell's answers and figures."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluateConfig:
    """Everything the figures depend on."""

    benchmark: Flat[BenchmarkConfig] = field(default_factory=BenchmarkConfig)
    strategies: Flat[StrategyConfig] = field(default_factory=StrategyConfig)
    select: tuple[Literal["last", "best"], ...] = ("last",)
    """Which picture of an attempt counts: the last one, as an agent gives it out, or the best by
    the judge (best-of always). Where the same judge scores, best is an upper bound."""
    policies: tuple[str, ...] = ()
    """Several policies to compare, each as --policy."""
    tools: tuple[str, ...] = ()
    """Several tools to compare, each as --world.tool, or name=tool to be kept and shown by that
    name: servers may move."""
    pictures: Path | None = None
    """Folder of pictures made elsewhere, one a request, named as the benchmark has it (7.jpg):
    nothing is drawn, these are scored."""
    compare: bool = False
    """Show what earlier commands have left in --out for this benchmark as well."""
    out: Path = Path("evaluated")
    """Folder of answers, pictures and verdicts."""
    world: Annotated[Miniature | FilesAndEndpoints, tyro.conf.AvoidSubcommands] = field(
        default_factory=Miniature
    )
    policy: Flat[PolicyConfig] = field(default_factory=PolicyConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    run: Flat[RunConfig] = field(default_factory=RunConfig)

    @property
    def worlds(self) -> dict[str, Miniature | FilesAndEndpoints]:
        """With each of the tools, by the name that it is shown by."""
        worlds = {}
        for tool in self.tools or (self.world.tool,):
            name, equals, address = tool.partition("=")
            is_named = equals and "/" not in name  # a URL may hold the sign too
            worlds[name if is_named else tool] = replace(
                self.world, tool=address if is_named else tool
            )
        return worlds

    @property
    def all_policies(self) -> list[PolicyConfig]:
        """Those that take part."""
        if self.pictures is not None or not self.strategies.needs_policy:
            return []
        return [
            replace(self.policy, policy=name) for name in self.policies or (self.policy.policy,)
        ]

    def problems(self) -> Iterator[str]:
        """What keeps cells from being answered and scored, a line each."""
        asks_judge = self.benchmark.bench != "miniature"
        if not asks_judge and not isinstance(self.world, Miniature):
            yield "--bench miniature wants the miniature; give --bench requests --file FILE"
        yield from self.benchmark.problems(self.world)
        if asks_judge:
            yield from self.world.judge_problems()
        if self.pictures is not None:
            return
        for world in self.worlds.values():
            yield from world.tool_problems()
        for policy in self.all_policies:
            yield from policy.problems(self.world.policies)
        yield from self.strategies.problems(stand_in=isinstance(self.world, Miniature))
        several = f"{count} policies take turns" if (count := len(self.all_policies)) > 1 else ""
        yield from self.engine.problems(self.sampling, changing=several)


PRESETS = {
    "miniature": EvaluateConfig(benchmark=BenchmarkConfig(held_out=450), run=RunConfig(threads=1)),
    "smoke": EvaluateConfig(
        benchmark=BenchmarkConfig(held_out=18),
        strategies=StrategyConfig(strategies=("plain", "agent")),
        out=Path("evaluated-smoke"),
        run=RunConfig(threads=1, trial=True),
    ),
    "flux-7b": EvaluateConfig(
        benchmark=BenchmarkConfig(bench="geneval++"),
        world=FilesAndEndpoints(tool="flux-8step", tool_device="cuda:1"),
        policy=PolicyConfig(policy="", device="cuda", dtype="bfloat16"),
        sampling=SamplingConfig(max_turn_tokens=2048, max_response_tokens=8192, max_batch=64),
    ),
}


def main(config: EvaluateConfig, run: Run) -> None:
    """Answer, score and show every cell."""
    refuse(list(dict.fromkeys(config.problems())))
    config.out.mkdir(parents=True, exist_ok=True)
    with lock_folder(config.out), run.recording():
        if config.pictures is not None:
            cells = [given(config, run, config.pictures)]
        else:
            cells = [cell for tool in config.worlds for cell in answered(config, run, tool)]
        known = {cell.cell.digest for cell in cells}
        earlier = earlier_rows(config.out / CELLS, cells[0], but=known)
        run.finish(show_cells(run, cells, earlier if config.compare else [], config.out))


def answered(config: EvaluateConfig, run: Run, tool_name: str) -> Iterator[ScoredCell]:
    """The cells of one tool, each answered and scored."""
    services, seed = config.worlds[tool_name], config.run.seed
    served = services.tool_model
    with waiting(f"loading {tool_name}"):
        # Only the miniature has requests and a truth of its own.
        world = services.open(config.out, seed=seed) if isinstance(services, Miniature) else None
        tool = services.open_tool() if world is None else world.tool
        words, drawn_by = services.words_of(tool), served_by(tool)
        whole = config.benchmark.open(world)
        benchmark = config.benchmark.part(whole)
        own = world if config.benchmark.bench == "miniature" else None
        scorer = config.benchmark.scorer(benchmark, services, config.out, world=own)
    selector = None if own is None else ScoredByJudge(judge=own.judges.point)
    for policy_name, strategy, name, rounds in ways(config, run, words):
        cell = EvaluationCell(
            policy=policy_name,
            tool=tool_name,
            strategy=name,
            rounds=rounds,
            depends={
                "strategy": strategy.name,
                # Servers move; what has a name stays paid for.
                "tool": tool_name if tool_name != services.tool else served or tool_name,
                "words": words,
                "seed": seed,
                # How they are scored, and how many of them, changes no answer.
                "requests": requests_digest(whole.requests),
                **({"served": drawn_by} if drawn_by else {}),
            },
        )
        ahead = rollout.scoring_ahead(scorer.scores) if scorer.at_once else nullcontext()
        with answer_progress(f"{tool_name}, {cell.title}") as progress, ahead as ended:
            answers = rollout.answer_kept(
                strategy,
                tool,
                benchmark.requests,
                rollout.AnswerFolder(
                    folder=config.out / CELLS / cell.digest,
                    pictures=PictureStore(config.out / "pictures"),
                ),
                about=dict(cell.depends),
                seed=seed,
                progress=progress.answered,
                drawn=progress.drawn,
                ended=ended,
            )
        for how in ("best",) if name == "best-of" else config.select:
            with waiting(f"scoring {tool_name}, {cell.title}", at_once=False):
                scored = rollout.score_cell(
                    cell, answers, benchmark, scorer, how=how, selector=selector, seed=seed
                )
            record_cell(run, scored, config.out / CELLS)
            yield scored
        del strategy  # which holds a policy and its pages


def given(config: EvaluateConfig, run: Run, folder: Path) -> ScoredCell:
    """The pictures of a folder, scored."""
    world = config.world
    opened = world.open(config.out, seed=config.run.seed) if isinstance(world, Miniature) else None
    benchmark = config.benchmark.part(config.benchmark.open(opened))
    own = opened if config.benchmark.bench == "miniature" else None
    scorer = config.benchmark.scorer(benchmark, world, config.out, world=own)
    pictures = read_pictures(folder, benchmark, tell=print_line)
    store = PictureStore(config.out / "pictures")
    answers = rollout.given_answers(benchmark.requests, pictures, store)
    depends = {"pictures": str(folder), "requests": benchmark.version}
    cell = EvaluationCell(
        policy=None, tool=folder.name, strategy="pictures", rounds=1, depends=depends
    )
    with waiting(f"scoring {len(answers)} pictures", at_once=False):
        seed = config.run.seed
        scored = rollout.score_cell(cell, answers, benchmark, scorer, how="last", seed=seed)
    (config.out / CELLS).mkdir(exist_ok=True)
    record_cell(run, scored, config.out / CELLS)
    return scored


def ways(
    config: EvaluateConfig, run: Run, words: int | None
) -> Iterator[tuple[str | None, "rollout.Strategy", str, int]]:
    """Each strategy with each policy that it asks: policy, strategy, name and rounds."""
    without, of_policy = config.strategies.apart()
    models = ScriptedModel().models if isinstance(config.world, Miniature) else None
    if without is not None:
        opened = without.open(config.out, stand_in=models, words=words)
        for strategy, (name, rounds) in zip(opened, without.ways, strict=True):
            yield None, strategy, name, rounds
    for options in config.all_policies:
        assert of_policy is not None
        with waiting(f"loading {options.policy}"):
            engine = config.engine.load(
                options, config.world.policies, config.sampling, run.folder, words=words
            )
        opened = of_policy.open(
            config.out,
            engine=engine,
            policy=f"{options.name(config.world.policies)} {config.sampling.name}",
        )
        yield from (
            (options.policy, strategy, name, rounds)
            for strategy, (name, rounds) in zip(opened, of_policy.ways, strict=True)
        )
        del engine, opened  # before the next one is loaded


if __name__ == "__main__":
    run_experiment("evaluate", main, EvaluateConfig, PRESETS, keeps_its_work=True)
