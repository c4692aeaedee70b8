"""A run's figures over its steps as small charts, drawn as SVG by a template.

Each step is a faint point, and the line is the mean of the last ``MEAN_OF`` steps: one step's 16
requests are too few to see a trend in.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from genagent_tracking.progress import MEAN_OF
from genagent_worlds import Outcome, rate, success_name

WIDTH, HEIGHT = 380, 200
LEFT, RIGHT, TOP, BOTTOM = 42, 14, 12, 26
"""Room around a chart for its axes, in the same units."""

ByStep = Mapping[int, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """One figure of a chart, in units of the drawing."""

    name: str
    points: tuple[tuple[float, float, str], ...]
    """Across, down, and what the point says."""
    line: str
    """Of the means, as SVG's ``points``."""
    latest: str
    """The last mean, in words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Whisker:
    """A share with its 95 % interval, of an evaluation."""

    x: float
    y: float
    low: float
    high: float
    says: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """Example: ``Chart(title="reward", …)``"""

    title: str
    about: str
    series: tuple[Series, ...]
    whiskers: tuple[Whisker, ...]
    ticks: tuple[tuple[float, str], ...]
    """Down, and what stands beside it."""
    steps: tuple[tuple[float, str], ...]
    """Across, and what stands below it."""


CHARTS: tuple[tuple[str, str, bool, tuple[tuple[str, str], ...]], ...] = (
    (
        "success in training",
        "attempts whose last and whose first picture is right",
        True,
        (
            ("last picture", "agent/success"),
            ("last picture", "agent/judged_success"),
            ("first picture", "agent/first_success"),
        ),
    ),
    ("reward", "mean of the attempts that are learnt from", False, (("reward", "agent/reward"),)),
    ("pictures", "an attempt draws", False, (("pictures", "agent/rounds"),)),
    (
        "the judge's errors",
        "wrong pictures that it pays for, right ones that it does not",
        True,
        (("wrong, paid", "audit/false_accept"), ("right, not paid", "audit/false_reject")),
    ),
    (
        "broken turns",
        "attempts that end with words that break the protocol",
        True,
        (("broken", "rollout/format_errors"),),
    ),
    ("entropy", "of the policy's next token, nats", False, (("entropy", "policy/entropy"),)),
    ("loss", "of the cold start, nats a token", False, (("loss", "sft/loss"),)),
)


def charts(
    figures: Mapping[str, ByStep], evaluations: Mapping[int, Sequence[Outcome]]
) -> list[Chart]:
    """Those whose figures the run has."""
    found = [held_out_chart(evaluations)] if len(evaluations) > 1 else []
    for title, about, is_share, wanted in CHARTS:
        known = {
            name: figures[metric] for name, metric in wanted if len(figures.get(metric, ())) > 1
        }
        if known:
            found.append(_chart(title, about, is_share, known, ()))
    return found


def held_out_chart(evaluations: Mapping[int, Sequence[Outcome]]) -> Chart:
    """Success of the evaluations, with 95 % intervals."""
    outcomes = next(iter(evaluations.values()))
    marks = []
    for step, found in evaluations.items():
        share = rate([one.success for one in found])
        if share.trials:
            marks.append((step, share.value, *share.interval, f"after {step} steps: {share}"))
    name = success_name(outcomes[0].source).replace("_", " ")
    about = f"{len(outcomes)} requests that it never learns from, with 95 % intervals"
    return _chart(f"{name} on held-out requests", about, True, {}, marks)


def _chart(
    title: str,
    about: str,
    is_share: bool,
    known: Mapping[str, ByStep],
    marks: Sequence[tuple[int, float, float, float, str]],
) -> Chart:
    steps = [step for values in known.values() for step in values] + [mark[0] for mark in marks]
    values = [v for by_step in known.values() for v in by_step.values()]
    values += [value for _, _, low, high, _ in marks for value in (low, high)]
    first, last = min(steps), max(steps)
    limits = {"least": 0.08, "at_most": 1.0} if is_share else {}
    ticks = nice_ticks(min(values), max(values), **limits)
    low, high = ticks[0], ticks[-1]

    def across(step: float) -> float:
        share = (step - first) / max(last - first, 1)
        share = 0.05 + 0.9 * share if marks else share  # room for them beside the axis
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def down(value: float) -> float:
        share = (value - low) / (high - low)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)

    def says(value: float) -> str:
        return f"{100 * value:.0f} %" if is_share else f"{value:.3g}"

    series = []
    for name, by_step in known.items():
        means = list(trailing_means(by_step))
        points = tuple(
            (across(step), down(value), f"step {step}: {says(value)}")
            for step, value in by_step.items()
        )
        line = " ".join(f"{across(step)},{down(value)}" for step, value in means)
        series.append(Series(name=name, points=points, line=line, latest=says(means[-1][1])))
    middle = (first + last) // 2
    shown = sorted({first, middle, last} if last - first > 3 else {first, last})
    return Chart(
        title=title,
        about=about,
        series=tuple(series),
        whiskers=tuple(
            Whisker(x=across(s), y=down(v), low=down(below), high=down(above), says=words)
            for s, v, below, above, words in marks
        ),
        ticks=tuple((down(tick), says(tick)) for tick in ticks),
        steps=tuple((across(step), str(step)) for step in shown),
    )


def trailing_means(by_step: ByStep) -> list[tuple[int, float]]:
    """Each step with the mean of the last ``MEAN_OF`` figures, its own included."""
    values = list(by_step.values())
    return [
        (step, math.fsum(window) / len(window))
        for place, step in enumerate(by_step, start=1)
        if (window := values[max(place - MEAN_OF, 0) : place])
    ]


def nice_ticks(
    low: float, high: float, *, least: float = 0.0, at_most: float = math.inf
) -> list[float]:
    """Round values in equal distances, two to six of them, that enclose both.

    Example: ``nice_ticks(0.31, 0.78) == [0.2, 0.4, 0.6, 0.8]``

    Args:
        least: what they are of, where both are nearly the same.
        at_most: no tick is above it.
    """
    span = max(high - low, least, abs(high) * 0.04, 1e-6)
    unit = 10.0 ** math.floor(math.log10(span / 2))
    step = next(unit * n for n in (1, 2, 5, 10, 20) if span / (unit * n) <= 4)
    begin, end = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    if begin == end:
        end += 1
    if end * step > at_most and begin * step < at_most:
        end = math.ceil(at_most / step - 1e-9)
    return [round(n * step, 10) for n in range(begin, end + 1)]
