"""Requests without a benchmark around them: a world's own, a file's, judged by yes and no."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from genagent_data import Request
from genagent_worlds.benchmarks.benchmark import (
    Absence,
    Protocol_,
    Result,
    digest,
    part_of,
)
from genagent_worlds.benchmarks.pictures import ANY_SUFFIX
from genagent_worlds.benchmarks.table import BenchmarkTable, Scoring, tabulate
from genagent_worlds.outcomes import Source, success_name

ABSENT: Mapping[Absence, float | None] = {"missing": 0.0, "unparsed": None, "failed": None}
"""No picture is no success; a verdict that could not be had says nothing, as in ``rate``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskBenchmark:
    """Shares of pictures that pass, by task and over all.

    Example: ``TaskBenchmark(name="miniature", requests=world.held_out, source="truth")``
    """

    name: str
    requests: tuple[Request, ...]
    source: Source = "judge"
    """Whose yes and no it is."""
    notes: tuple[str, ...] = ()
    protocol: Protocol_ = "ours"

    @property
    def version(self) -> str:
        """As ``Benchmark.version``, over requests and hints."""
        asked = [[one.id, one.prompt, one.task, list(one.hints)] for one in self.requests]
        return digest(self.name, self.source, asked)

    @property
    def suffixes(self) -> tuple[str, ...]:
        return ANY_SUFFIX

    def table(self, results: Mapping[str, Result], *, seed: int = 0) -> BenchmarkTable:
        """See ``Tabled``."""
        measure = success_name(self.source).replace("_", " ")
        scoring = Scoring(measure=measure, scale="0 to 1", binary=True, absent=ABSENT)
        return tabulate(self, scoring, results, seed=seed)

    def part(self, n: int) -> Self:
        """See ``Tabled``."""
        return part_of(self, n)
