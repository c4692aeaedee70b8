"""One way to pictures on one benchmark, scored: a row of a comparison."""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from genagent_worlds.benchmarks.benchmark import Score
from genagent_worlds.benchmarks.table import BenchmarkTable
from genagent_worlds.diagnostics import ScoredAttempt
from genagent_worlds.estimates import Estimate, mean_estimate


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationCell:
    """Who answers a benchmark's requests, and with what.

    Example: ``EvaluationCell(policy="sft", tool="flux-mini", strategy="agent", rounds=2)``
    """

    policy: str | None
    """None where no policy takes part."""
    tool: str
    strategy: str
    rounds: int
    """Pictures allowed."""
    depends: Mapping[str, object] = field(default_factory=dict)
    """All that the answers depend on, as JSON can hold it."""

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits over ``depends``: answers are kept under it."""
        text = json.dumps(self.depends, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def title(self) -> str:
        """Example: ``agent, 2 rounds``"""
        if self.strategy == "best-of":
            return f"best of {self.rounds}"
        return f"{self.strategy}, {self.rounds} rounds" if self.rounds > 1 else self.strategy


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoredCell:
    """A cell's attempts, its table by category, and its diagnostics."""

    cell: EvaluationCell
    judge: str
    """Who scored."""
    select: str
    """Which picture of an attempt counts."""
    attempts: tuple[ScoredAttempt, ...]
    table: BenchmarkTable
    diagnostics: Mapping[str, Estimate]

    @property
    def file_name(self) -> str:
        """Of its report; the same answers by another judge or another question have another."""
        scored_by = (self.judge, self.table.version, self.table.protocol, self.select)
        digest = hashlib.sha256(json.dumps(scored_by).encode()).hexdigest()[:6]
        return f"{self.cell.digest}-{digest}.json"

    @property
    def title(self) -> str:
        """Example: ``agent, 2 rounds, best, upper bound``"""
        is_plain = self.select == "last" or self.cell.strategy == "best-of"
        return self.cell.title if is_plain else f"{self.cell.title}, {self.select}"

    def row(self) -> dict[str, str]:
        """For a table.

        Example: ``{"tool": "flux-mini", "policy": "sft", "strategy": "agent, 2 rounds", "score":
        ".764 [.723, .801]", "first": ".531", "gain": "+.233", "drawn": "1.40"}``
        """
        overall = self.table.overall
        known = self.diagnostics
        several = known["pictures"].value > 1
        return {
            "tool": self.cell.tool,
            "policy": self.cell.policy or "-",
            "strategy": self.title,
            "score": "-" if overall is None else _score(overall.value, overall.interval),
            "first": _number(known.get("first")) if several else "-",
            "gain": _number(known.get("reflection_gain"), signed=True) if several else "-",
            "drawn": _number(known.get("pictures")),
        }

    def figures(self) -> dict[str, object]:
        """For a summary."""
        return {
            "policy": self.cell.policy,
            "tool": self.cell.tool,
            "strategy": self.cell.strategy,
            "rounds": self.cell.rounds,
            "select": self.select,
            "judge": self.judge,
            "answers": self.cell.digest,
            "table": self.table.figures(),
            "diagnostics": {name: one.figures() for name, one in self.diagnostics.items()},
        }


def paired_gain(one: ScoredCell, other: ScoredCell, *, seed: int = 0) -> Estimate | None:
    """Mean of ``one``'s score minus ``other``'s over requests, with its interval.

    Both met the same seeds, so that a pair differs by the way alone. Without a picture the score is
    0; a request whose picture could not be scored is left out.
    """
    scores = [_scores(cell.attempts) for cell in (one, other)]
    shared = [id for id in scores[0] if id in scores[1]]
    return mean_estimate([scores[0][id] - scores[1][id] for id in shared], seed=seed)


def earlier_rows(folder: Path, one: ScoredCell, *, but: Collection[str]) -> list[dict[str, str]]:
    """Rows of the reports in the folder that may stand beside ``one``: the same benchmark in the
    same version, by the same judge.

    Args:
        but: digests of cells to leave out.

    Raises:
        ValueError: a file there is no cell's report.
        OSError: one cannot be read.
    """
    wanted = (one.table.name, one.table.version, one.table.protocol, one.judge)
    rows = []
    for path in sorted(folder.glob("*.json")):
        try:
            report = json.loads(path.read_text(encoding="utf-8"))
            found, digest, row = report["table"], report["answers"], report["row"]
            known = (found["benchmark"], found["version"], found["protocol"], report["judge"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is no cell's report ({error}); move it away") from error
        if known == wanted and digest not in but:
            rows.append(row)
    return rows


def _scores(attempts: Sequence[ScoredAttempt]) -> dict[str, float]:
    values = {"missing": 0.0}
    return {
        one.trajectory.request.id: (
            one.result.value if isinstance(one.result, Score) else values[one.result]
        )
        for one in attempts
        if isinstance(one.result, Score) or one.result in values
    }


def _score(value: float | None, interval: tuple[float, float] | None) -> str:
    if value is None or interval is None:
        return "-"
    return f"{_short(value)} [{_short(interval[0])}, {_short(interval[1])}]"


def _number(one: Estimate | None, *, signed: bool = False) -> str:
    if one is None:
        return "-"
    sign = "+" if signed and one.value > 0 else ""
    return sign + _short(one.value)


def _short(value: float) -> str:
    """Three digits after the point below 1, two from there on."""
    short = f"{value:.3f}"
    return short.replace("0.", ".", 1) if short.lstrip("-").startswith("0") else f"{value:.2f}"
