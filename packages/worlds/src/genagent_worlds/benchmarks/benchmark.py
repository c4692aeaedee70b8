"""What a benchmark is: requests, a question about each picture, how replies are read and counted.

Two sides can score pictures: a chat model that is asked a benchmark's own question, and a judge
that says yes or no (``scoring``).
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, TypeVar, cast

from genagent_data import Request, evenly_by_task
from genagent_rewards import ChatRequest, OpenAIChatConfig, Picture

if TYPE_CHECKING:
    from genagent_worlds.benchmarks.table import BenchmarkTable

Protocol_ = Literal["official", "ours"]
"""``official`` asks, reads and counts as the benchmark's authors do; ``ours`` where we would rather
differ (docs/benchmarks.md names each difference)."""
PROTOCOLS: tuple[Protocol_, ...] = ("official", "ours")
Absence = Literal["missing", "unparsed", "failed"]
"""Why a request has no score: no picture; no score could be read in the judge's words, however
often it was asked; the judge did not answer."""
ABSENCES: tuple[Absence, ...] = ("missing", "unparsed", "failed")


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """What a picture is worth. Example: ``Score(value=1.0, passed=True)``"""

    value: float
    """On the benchmark's scale, by its formula for one picture."""
    passed: bool | None = None
    """None where the benchmark grades."""
    parts: Mapping[str, float] = field(default_factory=dict)
    """What the judge said, by name."""
    reason: str = ""
    """The judge's words for it, where it gave any."""


Result = Score | Absence


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgeSettings:
    """How a benchmark's judge is asked.

    Example: ``JudgeSettings(judge="gpt-4.1", max_tokens=200)``
    """

    judge: str
    """The model that the benchmark's authors ask. Another one gives figures of its own."""
    max_tokens: int
    temperature: float = 0.0
    retry_temperature: float = 0.0
    """Once a reply could not be read."""
    attempts: int = 3
    extra_body: Mapping[str, object] = field(default_factory=dict)

    def applied(self, config: OpenAIChatConfig) -> OpenAIChatConfig:
        """The endpoints of ``config``, asked with these settings; further fields of the request
        that ``config`` has come on top."""
        return replace(
            config,
            temperature=self.temperature,
            retry_temperature=self.retry_temperature,
            max_tokens=self.max_tokens,
            max_attempts=self.attempts,
            extra_body={**self.extra_body, **config.extra_body},
        )


class Tabled(Protocol):
    """Requests, and the table of what their pictures scored."""

    @property
    def name(self) -> str: ...
    @property
    def protocol(self) -> Protocol_: ...
    @property
    def version(self) -> str:
        """Twelve hexadecimal digits over requests, questions, rules and settings."""
        ...

    @property
    def requests(self) -> tuple[Request, ...]:
        """Under the ids that the benchmark names its pictures by; the task is the category, the
        hints are what judges of our own may use."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of its figures should know, a line each."""
        ...

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Of files that hold a request's picture, under its id."""
        ...

    def table(self, results: Mapping[str, Result], *, seed: int = 0) -> "BenchmarkTable":
        """The figures; a request without a result is missing. Raises ValueError for a result of no
        request."""
        ...

    def part(self, n: int) -> Self:
        """So many requests at most, as evenly over the categories as can be."""
        ...


class Benchmark(Tabled, Protocol):
    """A benchmark with a question of its own about each picture."""

    @property
    def settings(self) -> JudgeSettings: ...

    def question(self, request: Request, picture: Picture) -> ChatRequest:
        """Raises OSError where the picture's file cannot be read."""
        ...

    def read(self, reply: str) -> Score | None:
        """The score in a judge's words; None where they hold none."""
        ...


Given = TypeVar("Given", bound=Tabled)


def digest(*parts: object) -> str:
    """Twelve hexadecimal digits over what JSON can hold."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def version_of(
    benchmark: Benchmark, rules: str, texts: Sequence[tuple[str, str]], scoring: object
) -> str:
    """A benchmark's version.

    Args:
        rules: raised with any change of what is read or counted, which no other part shows.
        texts: system message and words of each request's question.
        scoring: how scores are counted, as JSON can hold it.
    """
    pairs = zip(benchmark.requests, texts, strict=True)
    asked = [[request.id, request.prompt, request.task, *text] for request, text in pairs]
    settings = asdict(benchmark.settings)
    return digest(benchmark.name, benchmark.protocol, rules, settings, scoring, asked)


def part_of(benchmark: Given, n: int) -> Given:
    """As ``Tabled.part``, of a dataclass: requests are taken from the categories in turn and keep
    their order."""
    if n < 1:
        raise ValueError(f"a part of {n} requests; wants 1 or more")
    requests, total = tuple(evenly_by_task(benchmark.requests, n)), len(benchmark.requests)
    if len(requests) == total:
        return benchmark
    notes = (*benchmark.notes, part_note(total, len(requests)))
    return replace(cast(Any, benchmark), requests=requests, notes=notes)


def part_note(total: int, n: int) -> str:
    return f"a part of {n} of {total} requests: not the benchmark's own figures"
