"""What an evaluation before and one after come to, for people."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from genagent_data import Funnel
from genagent_tracking.captioned_grid import CaptionedPictures, captioned_grid
from genagent_tracking.console import print_line, print_table
from genagent_tracking.figure import draw_outcomes
from genagent_worlds import Outcome, paired_p_value, rate, result_rows, success_name, telling_pair

CHANGES = {
    "won": "won",
    "lost": "lost",
    "wrong": "wrong both times",
    "right": "right both times",
    "unknown": "not known",
}
"""What may become of a request, in words, in the order shown."""


def show_results(before: Sequence[Outcome], after: Sequence[Outcome]) -> list[dict[str, str]]:
    """Print the table by task type and the paired test; returns the table's rows."""
    name = success_name(before[0].source).replace("_", " ")
    rows = result_rows(before, after)
    print_table(results_title(before), rows)
    p = paired_p_value(before, after)
    print_line(f"{name} before and after, paired exact McNemar test: p = {p:.2g}")
    return rows


def results_title(outcomes: Sequence[Outcome]) -> str:
    """Of the table of ``result_rows``."""
    name = success_name(outcomes[0].source).replace("_", " ")
    return f"{name} by the last and by the first picture, % [95 % interval]"


def show_funnel(funnel: Funnel) -> list[dict[str, str]]:
    """Print what a synthesis kept and dropped, its time, and what services did not do; returns the
    table's rows."""
    rows = funnel.rows()
    print_table(funnel_title(funnel), rows)
    shares = sorted(funnel.shares.items(), key=lambda item: -item[1])
    print_line("time: " + ", ".join(f"{name} {share:.0%}" for name, share in shares if share))
    short = funnel.short_line()
    for line in (*funnel.service_lines(), *((short,) if short else ())):
        print_line(line)
    return rows


def funnel_title(funnel: Funnel) -> str:
    """Of the table of its rows."""
    return f"{funnel.records} records out of {funnel.requests} requests"


def success_line(outcomes: Sequence[Outcome]) -> str:
    """Example: ``"success 75.0 % [59.8, 85.8] of 40 requests"``"""
    known = rate([outcome.success for outcome in outcomes])
    name = success_name(outcomes[0].source).replace("_", " ")
    return f"{name} {known} of {known.trials} requests"


def success_metric(outcomes: Sequence[Outcome], when: str) -> dict[str, float]:
    """Success by the last and by the first picture, for the list of runs.

    Example: ``{"success_before": 0.75, "first_success_before": 0.5}``
    """
    name = success_name(outcomes[0].source)
    known = {
        f"{name}_{when}": rate([outcome.success for outcome in outcomes]),
        f"first_{name}_{when}": rate([outcome.first_success for outcome in outcomes]),
    }
    return {name: share.value for name, share in known.items() if share.trials}


def headline(before: Sequence[Outcome], after: Sequence[Outcome]) -> str:
    """Example: ``"success 72.5 % → 85.0 % of 40 held-out requests (paired test: p = 0.12)"``"""
    name = success_name(before[0].source).replace("_", " ")
    first, last = (rate([one.success for one in outcomes]) for outcomes in (before, after))
    shift = f"{100 * first.value:.1f} % → {100 * last.value:.1f} %"
    p = paired_p_value(before, after)
    return f"{name} {shift} of {len(after)} held-out requests (paired test: p = {p:.2g})"


def unknown_lines(outcomes: Sequence[Outcome]) -> list[str]:
    """What an evaluation could not find out of the agent, and why, a line each.

    Example: ``["3 of 450 attempts were ended by the tool, which failed (the last: no memory); they
    count neither as success nor as failure"]``
    """
    lines = []
    failed = [outcome for outcome in outcomes if outcome.service_failed]
    if failed:
        tool_only = all(outcome.trajectory.ending == "tool_failure" for outcome in failed)
        who = "the tool" if tool_only else "the tool or a model that was asked"
        lines.append(
            f"{len(failed)} of {len(outcomes)} attempts were ended by {who}, which failed (the "
            f"last: {failed[-1].trajectory.error}); they count neither as success nor as failure"
        )
    verdicts = [passed for outcome in outcomes for passed in outcome.passed]
    if absent := verdicts.count(None):
        reasons = [outcome.why_absent for outcome in outcomes if outcome.why_absent]
        why = f" (the last: {reasons[-1]})" if reasons else ""
        lines.append(
            f"{absent} of {len(verdicts)} pictures have no verdict{why}; they count neither as "
            "success nor as failure"
        )
    return lines


def draw_example(path: Path, before: Sequence[Outcome], after: Sequence[Outcome]) -> bool:
    """One request's pictures before and after; False where nothing was drawn."""
    pair = telling_pair(before, after)
    if pair is None:
        return False
    draw_outcomes(path, dict(zip(("before", "after"), pair, strict=True)))
    return True


def change(before: Outcome, after: Outcome) -> str:
    """What became of a request, one of ``CHANGES``."""
    if before.success is None or after.success is None:
        return "unknown"
    return {
        (False, True): "won",
        (True, False): "lost",
        (True, True): "right",
        (False, False): "wrong",
    }[before.success, after.success]


def held_out_grid(
    outcomes: Sequence[Outcome], before: Sequence[Outcome] | None = None, *, most: int = 40
) -> Image.Image | None:
    """Last pictures with their requests, framed by success: those of ``before`` to the left of
    these, with requests that were won or lost first. None where nothing was drawn."""
    if not any(outcome.passed for outcome in outcomes):
        return None
    if before is None:
        cells = [_cell((one,)) for one in outcomes[:most]]
        return captioned_grid(cells, title=success_line(outcomes))
    pairs = list(zip(before, outcomes, strict=True))
    order = list(CHANGES)
    shown = sorted(pairs, key=lambda pair: order.index(change(*pair)))[:most]
    cells = [_cell(pair, change(*pair)) for pair in shown]
    return captioned_grid(cells, title=f"before → after: {headline(before, outcomes)}")


def _cell(attempts: Sequence[Outcome], word: str = "") -> CaptionedPictures:
    drawn = [one.trajectory.pictures for one in attempts]
    return CaptionedPictures(
        caption=attempts[0].request.prompt,
        pictures=tuple(pictures[-1].image if pictures else None for pictures in drawn),
        passed=tuple(one.success for one in attempts),
        word=word,
    )
