"""Which requests are answered, and who scores the pictures, as options."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from genagent_data import read_requests
from genagent_endpoints import public_url
from genagent_rewards import ChatModel, KeptAnswers, KeptChat, LocalChat, OpenAIChat
from genagent_worlds.benchmarks.benchmark import Benchmark, Protocol_
from genagent_worlds.benchmarks.load import load_benchmark
from genagent_worlds.benchmarks.scoring import ScoredByJudge, ScoredByQuestion, ScoresPictures
from genagent_worlds.benchmarks.tasks import TaskBenchmark
from genagent_worlds.service_names import answers_freely, is_url
from genagent_worlds.service_options import ServiceOptions
from genagent_worlds.services import Services
from genagent_worlds.world import World

Bench = Literal["miniature", "requests", "geneval++", "wise", "wise-verified", "imagine"]
REPLIES, VERDICTS = "replies.sqlite", "verdicts.sqlite"
"""The judge's words and its verdicts, in the folder of an evaluation."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NamedScorer:
    """Who scores, by the name that figures bear."""

    name: str
    scores: ScoresPictures
    at_once: bool
    """Whether it is asked as soon as an attempt has ended, while others run: see ``Judges``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchmarkConfig:
    """A benchmark. Example: ``BenchmarkConfig(bench="geneval++", file=Path("Geneval++.jsonl"))``"""

    bench: Bench = "miniature"
    """miniature: the world's held-out requests by its truth; requests: --file's, by --world.judge;
    else a published benchmark, its official file read unchanged, its questions asked of
    --world.judge."""
    file: Path | None = None
    """The benchmark's official file (WISE's folder), or a file of requests."""
    protocol: Protocol_ = "official"
    """As the benchmark's authors ask, read and count, or as docs/benchmarks.md says."""
    held_out: int | None = None
    """At most so many requests, evenly over the categories."""

    def __post_init__(self) -> None:
        if self.held_out is not None and self.held_out < 1:
            raise ValueError(f"held_out is {self.held_out}; wants 1 or more")

    def problems(self, services: Services) -> Iterator[str]:
        """What is wrong with the file or its judge, a line each; no endpoint is asked."""
        if self.bench == "miniature":
            if self.file is not None:
                yield f"--file is {self.file}; the miniature's own requests are in no file"
            return
        if self.file is None:
            yield f"--file is missing: give {_FILES[self.bench]}"
            return
        try:
            found = self._open()
        except (ValueError, OSError) as error:
            yield str(error)
        else:
            if isinstance(found, TaskBenchmark):
                yield from services.unjudged(found.requests, source=self.file)
        if self.bench == "requests":
            return
        if services.judge and not answers_freely(services.judge):
            yield (
                f"--world.judge is {public_url(services.judge)}; {self.bench} asks questions of "
                "its own, for which it wants endpoints or a model folder"
            )
        for name in ("judge_tokens", "judge_body") if self.protocol == "official" else ():
            if (value := getattr(services, name)) != getattr(ServiceOptions(), name):
                yield (
                    f"--world.{name.replace('_', '-')} is {value}, and the official protocol asks "
                    "in its own way; leave it out, or take --protocol ours"
                )

    def open(self, world: World | None) -> Benchmark | TaskBenchmark:
        """All of the benchmark. Raises ValueError for a file that cannot be used.

        Args:
            world: where its own requests are asked.
        """
        if self.bench == "miniature":
            assert world is not None
            return TaskBenchmark(name="miniature", requests=world.held_out, source="truth")
        return self._open()

    def part(self, whole: Benchmark | TaskBenchmark) -> Benchmark | TaskBenchmark:
        """What is answered of it."""
        return whole if self.held_out is None else whole.part(self.held_out)

    def scorer(
        self,
        benchmark: Benchmark | TaskBenchmark,
        services: Services,
        work: Path,
        *,
        world: World | None,
    ) -> NamedScorer:
        """Who scores.

        Args:
            work: folder in which a judge's words are kept as they come.
            world: where it is its truth that scores.

        Raises:
            ValueError: the judge cannot be had.
        """
        if world is not None and world.truth is not None:
            truth = ScoredByJudge(judge=world.truth.point)
            return NamedScorer(name="truth", scores=truth, at_once=False)
        if isinstance(benchmark, TaskBenchmark):
            judges = services.open_judges(cache=work / VERDICTS)
            return NamedScorer(
                name=services.judge_name,
                scores=ScoredByJudge(judge=judges.point),
                at_once=judges.at_once,
            )
        chat: ChatModel
        settings = benchmark.settings
        if benchmark.protocol == "ours":
            settings = replace(settings, max_tokens=services.judge_tokens)
        if is_url(services.judge):
            chat = OpenAIChat(settings.applied(services.judge_endpoints()))
        else:
            chat = LocalChat.load(
                services.judge,
                device=services.judge_device,
                max_tokens=settings.max_tokens,
                batch_size=services.judge_batch,
                # Greedy words that could not be read would come again.
                max_attempts=settings.attempts if settings.retry_temperature else 1,
                retry_temperature=settings.retry_temperature or 1.0,
            )
        kept = KeptChat(chat, KeptAnswers(work / REPLIES), max_tokens=settings.max_tokens)
        return NamedScorer(
            name=chat.name,
            scores=ScoredByQuestion(benchmark=benchmark, chat=kept),
            at_once=is_url(services.judge),
        )

    def _open(self) -> Benchmark | TaskBenchmark:
        assert self.file is not None
        if self.bench == "requests":
            return TaskBenchmark(name="requests", requests=tuple(read_requests(self.file)))
        return load_benchmark(self.bench, self.file, protocol=self.protocol)


_FILES = {
    "requests": "a file of requests (.jsonl, .json, or one prompt a line)",
    "geneval++": "GenEval++'s official Geneval++.jsonl",
    "wise": "the folder with WISE's three official files, or one of them",
    "wise-verified": "the folder with WISE_Verified's three official files, or one of them",
    "imagine": "Imagine's official Imagine.jsonl",
}
