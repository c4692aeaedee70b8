"""Scores of pictures as a benchmark's table: a row a category, then the overall figure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from genagent_worlds.benchmarks.benchmark import ABSENCES, Absence, Result, Score, Tabled
from genagent_worlds.estimates import DRAWS
from genagent_worlds.rates import Rate

OVERALL = "overall"
ZERO: Mapping[Absence, float | None] = {"missing": 0.0, "unparsed": 0.0, "failed": 0.0}
LEFT_OUT: Mapping[Absence, float | None] = {"missing": None, "unparsed": None, "failed": None}


@dataclass(frozen=True, kw_only=True, slots=True)
class Scoring:
    """How scores become figures.

    Example: ``Scoring(measure="accuracy", scale="0 to 1", weights={"Color": 1, "Count": 1})``
    """

    measure: str
    """What a figure is called."""
    scale: str
    """From its worst to its best value."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """Of the categories' means in the overall figure, in the order of the table. Without any, the
    categories are those of the requests and the overall figure is the mean over all."""
    binary: bool = False
    """Each score is 0 or 1."""
    absent: Mapping[Absence, float | None] = field(default_factory=lambda: ZERO)
    """What a request without a score counts as; None leaves it out."""
    whole: bool = False
    """There is an overall figure only of all categories."""
    complete: bool = False
    """There is an overall figure only where every request has a score."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A category's figure."""

    category: str
    n: int
    """Requests, those without a score among them."""
    value: float | None
    """None where every request of it is left out."""
    interval: tuple[float, float] | None
    """95 %, of which requests were drawn: Wilson's where scores are 0 or 1, else the bootstrap's
    percentiles. The overall row's is a bootstrap within each category."""
    missing: int
    unparsed: int
    failed: int


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchmarkTable:
    """A benchmark's figures, and what they are of."""

    name: str
    protocol: str
    version: str
    measure: str
    scale: str
    rows: tuple[Row, ...]
    """Categories in the paper's order, then "overall", where there is an overall figure."""
    notes: tuple[str, ...]
    seed: int
    """Of the bootstrap."""

    @property
    def overall(self) -> Row | None:
        last = self.rows[-1]
        return last if last.category == OVERALL else None

    @property
    def title(self) -> str:
        """Example: ``geneval++, protocol official, version 3f03a7bf1ce1: accuracy, 0 to 1``"""
        return (
            f"{self.name}, protocol {self.protocol}, version {self.version}: "
            f"{self.measure}, {self.scale}"
        )

    def as_rows(self) -> list[dict[str, str]]:
        """To print, by column."""
        return [
            {
                "category": row.category,
                "n": str(row.n),
                self.measure: "-" if row.value is None else f"{row.value:.3f}",
                "95 %": "-" if row.interval is None else "[{:.3f}, {:.3f}]".format(*row.interval),
                **{absence: str(getattr(row, absence)) for absence in ABSENCES},
            }
            for row in self.rows
        ]

    def figures(self) -> dict[str, object]:
        """For a summary in JSON."""
        return {
            "benchmark": self.name,
            "protocol": self.protocol,
            "version": self.version,
            "measure": self.measure,
            "scale": self.scale,
            "bootstrap_seed": self.seed,
            "notes": list(self.notes),
            "categories": {
                row.category: {
                    "value": row.value,
                    "interval": None if row.interval is None else list(row.interval),
                    "n": row.n,
                    **{absence: getattr(row, absence) for absence in ABSENCES},
                }
                for row in self.rows
            },
        }


def tabulate(
    benchmark: Tabled, scoring: Scoring, results: Mapping[str, Result], *, seed: int
) -> BenchmarkTable:
    """As ``Tabled.table``, by these rules."""
    requests = benchmark.requests
    known = {request.id for request in requests}
    if stray := next((key for key in results if key not in known), None):
        raise ValueError(
            f"there is a result for {stray!r}, which is no request of {benchmark.name}"
        )
    categories = list(scoring.weights or dict.fromkeys(request.task for request in requests))
    given: dict[str, list[Result]] = {category: [] for category in categories}
    for request in requests:
        given[request.task].append(results.get(request.id, "missing"))
    counted = {
        category: [value for one in ones if (value := _value(one, scoring)) is not None]
        for category, ones in given.items()
    }
    rows = [
        _row(
            category,
            given[category],
            _mean(counted[category]),
            _interval(scoring, [counted[category]], [1.0], [seed, place]),
        )
        for place, category in enumerate(categories)
        if given[category]
    ]
    everything: list[Result] = [one for category in categories for one in given[category]]
    refusal = _refusal(scoring, given, counted)
    if refusal is None:
        present = [category for category in categories if counted[category]]
        shares = [
            scoring.weights[category] if scoring.weights else float(len(counted[category]))
            for category in present
        ]
        means = [_mean(counted[category]) or 0.0 for category in present]
        value = sum(share * mean for share, mean in zip(shares, means, strict=True)) / sum(shares)
        samples = [counted[category] for category in present]
        interval = _interval(scoring, samples, shares, [seed, len(categories)])
        rows.append(_row(OVERALL, everything, value, interval))
    return BenchmarkTable(
        name=benchmark.name,
        protocol=benchmark.protocol,
        version=benchmark.version,
        measure=scoring.measure,
        scale=scoring.scale,
        rows=tuple(rows),
        notes=(
            *benchmark.notes,
            *_absence_notes(scoring, everything),
            *([refusal] if refusal else []),
        ),
        seed=seed,
    )


def _value(result: Result, scoring: Scoring) -> float | None:
    return result.value if isinstance(result, Score) else scoring.absent[result]


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _row(
    category: str,
    results: Sequence[Result],
    value: float | None,
    interval: tuple[float, float] | None,
) -> Row:
    missing, unparsed, failed = (results.count(absence) for absence in ABSENCES)
    return Row(
        category=category,
        n=len(results),
        value=value,
        interval=interval,
        missing=missing,
        unparsed=unparsed,
        failed=failed,
    )


def _interval(
    scoring: Scoring,
    samples: Sequence[Sequence[float]],
    shares: Sequence[float],
    seed: Sequence[int],
) -> tuple[float, float] | None:
    """Of the weighted mean of the samples' means."""
    values = [value for sample in samples for value in sample]
    if not values:
        return None
    pooled = not scoring.weights or len(samples) == 1
    if scoring.binary and (pooled or len(set(values)) == 1):
        # A bootstrap of equal values would say that nothing is uncertain.
        return Rate(hits=round(sum(values)), trials=len(values)).interval
    import numpy as np

    rng = np.random.default_rng(seed)
    means = np.zeros(DRAWS)
    for share, sample in zip(shares, samples, strict=True):
        drawn = rng.integers(len(sample), size=(DRAWS, len(sample)))
        means += share * np.asarray(sample)[drawn].mean(axis=1)
    means /= sum(shares)
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)


def _refusal(
    scoring: Scoring,
    given: Mapping[str, Sequence[Result]],
    counted: Mapping[str, Sequence[float]],
) -> str | None:
    """Why there is no overall figure."""
    if scoring.whole and (without := [name for name, ones in given.items() if not ones]):
        return f"no overall figure: there are no requests of {', '.join(without)}"
    absent = [one for ones in given.values() for one in ones if not isinstance(one, Score)]
    if scoring.complete and absent:
        total = sum(len(ones) for ones in given.values())
        return (
            f"no overall figure: {len(absent)} of {total} requests have no score, and the "
            "official script then gives none; complete them, or take the protocol ours"
        )
    if without := [name for name, ones in given.items() if ones and not counted[name]]:
        return f"no overall figure: nothing has a score in {', '.join(without)}"
    return None


def _absence_notes(scoring: Scoring, results: Sequence[Result]) -> list[str]:
    notes = []
    for absence in ABSENCES:
        count, value = results.count(absence), scoring.absent[absence]
        if count:
            became = "left out" if value is None else f"counted as {value:g}"
            notes.append(f"{count} of {len(results)} {absence}: {became}")
    return notes
