"""How many requests each stage keeps and drops, why, and what it takes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from genagent_data.synthesis.draft import Draft, Drop, Fate
from genagent_data.synthesis.painter import Meter

SERVICES = ("teacher", "tool", "judge")
SERVICE_REASONS = ("tool_failed", "no_verdict", "teacher_", "reference_")
"""How drops begin that say nothing of the request."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StageFigures:
    """Of one stage, or of one chunk of it.

    Example: ``StageFigures(name="hard", kept=40, drops={"solved_plainly": 24})``
    """

    name: str
    kept: int = 0
    drops: Mapping[str, int] = field(default_factory=dict)
    """By reason."""
    seconds: float = 0.0
    """Of work, over all that ran side by side; waiting for one's turn is not counted."""
    calls: Mapping[str, int] = field(default_factory=dict)
    """Questions to "teacher" and "judge", pictures of the "tool"."""
    details: Mapping[str, str] = field(default_factory=dict)
    """What the latest drop of each reason says of itself."""

    @property
    def dropped(self) -> int:
        return sum(self.drops.values())

    def __add__(self, other: "StageFigures") -> "StageFigures":
        return StageFigures(
            name=self.name,
            kept=self.kept + other.kept,
            drops=dict(Counter(self.drops) + Counter(other.drops)),
            seconds=self.seconds + other.seconds,
            calls=dict(Counter(self.calls) + Counter(other.calls)),
            details={**self.details, **other.details},
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Funnel:
    """The whole way from requests to records."""

    stages: tuple[StageFigures, ...]
    endings: Mapping[str, int] = field(default_factory=dict)
    """Records by how they end."""
    tasks: Mapping[str, int] = field(default_factory=dict)
    """Records by data type."""
    short: Mapping[str, int] = field(default_factory=dict)
    """By data type, how many more without an answer the set share asks for than there were."""

    @property
    def requests(self) -> int:
        """How many went in."""
        return self.stages[0].kept + self.stages[0].dropped

    @property
    def records(self) -> int:
        """How many came out."""
        return self.stages[-1].kept

    @property
    def shares(self) -> dict[str, float]:
        """Each stage's share of the work's seconds."""
        total = sum(stage.seconds for stage in self.stages)
        return {stage.name: stage.seconds / total if total else 0.0 for stage in self.stages}

    def metrics(self) -> dict[str, float]:
        """Under names such as ``funnel/hard/kept`` and ``funnel/hard/dropped/solved_plainly``."""
        figures: dict[str, float] = {}
        for stage in self.stages:
            root = f"funnel/{stage.name}"
            figures |= {f"{root}/kept": stage.kept, f"{root}/seconds": stage.seconds}
            figures |= {f"{root}/dropped/{reason}": n for reason, n in stage.drops.items()}
            figures |= {f"{root}/calls/{name}": n for name, n in stage.calls.items()}
        figures |= {f"records/ending/{name}": n for name, n in self.endings.items()}
        figures |= {f"records/task/{name}": n for name, n in self.tasks.items()}
        return {name: float(value) for name, value in figures.items()}

    def figures(self) -> dict[str, Any]:
        """For a summary: what JSON holds of the counts."""
        return {
            "requests": self.requests,
            "records": self.records,
            "endings": dict(self.endings),
            "tasks": dict(self.tasks),
            "time_shares": self.shares,
        }

    def short_line(self) -> str | None:
        """Where fewer records than the set share end without an answer: how many, and of what."""
        if not self.short:
            return None
        tasks = ", ".join(f"{task} {count}" for task, count in self.short.items())
        return (
            f"{self.endings.get('out_of_rounds', 0)} of {self.records} records end without an "
            f"answer, {sum(self.short.values())} short of their share: {tasks}"
        )

    def service_lines(self) -> list[str]:
        """A line for each kind of drop that somebody may want to see to, and the last of it."""
        return [
            f"{stage.name}: {stage.drops[reason]} {reason}; the last: {detail}"
            for stage in self.stages
            for reason, detail in stage.details.items()
            if reason.startswith(SERVICE_REASONS)
        ]

    @property
    def calls(self) -> dict[str, int]:
        """Of all stages."""
        return dict(sum((Counter(stage.calls) for stage in self.stages), Counter()))

    def rows(self) -> list[dict[str, str]]:
        """A table for people, the whole first, each reason under its stage."""
        rows = [_row("all", self.requests, self.records, "100 %", self.calls)]
        shares = self.shares
        for stage in self.stages:
            share = f"{100 * shares[stage.name]:.0f} %"
            coming = stage.kept + stage.dropped
            rows.append(_row(stage.name, coming, stage.kept, share, stage.calls))
            for reason, count in sorted(stage.drops.items(), key=lambda item: -item[1]):
                rows.append(
                    dict.fromkeys(rows[0], "") | {"stage": f"  {reason}", "dropped": str(count)}
                )
        return rows


def figures_of(name: str, fates: Sequence[Fate], meter: Meter, *, seconds: float) -> StageFigures:
    """What a stage has made of a chunk."""
    drops = [fate for fate in fates if isinstance(fate, Drop)]
    return StageFigures(
        name=name,
        kept=sum(isinstance(fate, Draft) for fate in fates),
        drops=dict(Counter(drop.reason for drop in drops)),
        seconds=max(0.0, seconds - meter.waited),
        calls=dict(meter.calls),
        details={drop.reason: f"{drop.id}: {drop.detail}" for drop in drops if drop.detail},
    )


def figures_from_row(row: dict[str, Any]) -> StageFigures:
    """Raises ValueError for a row that is none of ours."""
    try:
        return StageFigures(**row)
    except TypeError as error:
        raise ValueError(f"not a stage's figures ({error})") from error


def _row(name: str, coming: int, kept: int, share: str, calls: Mapping[str, int]) -> dict[str, str]:
    return {
        "stage": name,
        "in": str(coming),
        "kept": str(kept),
        "dropped": str(coming - kept),
        "time": share,
        **{service: str(calls.get(service, "")) for service in SERVICES},
    }
