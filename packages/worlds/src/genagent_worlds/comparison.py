"""An evaluation before and one after, side by side: figures, rows of a table, a telling example."""

from collections.abc import Sequence

from PIL import ImageChops, ImageStat

from genagent_worlds.outcomes import Outcome, success_name, summarize
from genagent_worlds.paired import PairedDifference, paired_difference
from genagent_worlds.rates import rate


def compare(before: Sequence[Outcome], after: Sequence[Outcome]) -> dict[str, object]:
    """Figures for a run's summary: means, 95 % intervals, p of the paired test, and how many
    requests each of them is of."""
    name = success_name(before[0].source)
    first, last = (rate([o.success for o in outcomes]) for outcomes in (before, after))
    return {
        "after": summarize(after),
        "held_out": len(after),
        f"{name}_before_95": first.interval,
        f"{name}_before_n": first.trials,
        f"{name}_after_95": last.interval,
        f"{name}_after_n": last.trials,
        "p_value": paired_p_value(before, after),
        "p_value_n": _difference(before, after).trials,
    }


def paired_p_value(before: Sequence[Outcome], after: Sequence[Outcome]) -> float:
    """``PairedDifference.p_value`` of success after against before.

    Requests that one of the sides knows nothing of, for want of a verdict or because the tool
    failed, do not count.

    Raises:
        ValueError: the two are not the same requests in the same order.
    """
    if [o.request.id for o in before] != [o.request.id for o in after]:
        raise ValueError("a paired test wants the same requests in the same order")
    return _difference(before, after).p_value


def result_rows(before: Sequence[Outcome], after: Sequence[Outcome]) -> list[dict[str, str]]:
    """Success over all requests and by task type, percent with 95 % intervals; where less than
    ``n`` are known, of how many.

    Example: ``{"task": "all", "n": "450", "before": "57 [52-61]", "after": "64 [60-69]",
    "first before": "44 [40-49]", "first after": "54 [50-59]"}``
    """
    rows = []
    tasks = list(dict.fromkeys(outcome.request.task for outcome in before))
    for task in ["all", *(tasks if len(tasks) > 1 else ())]:
        chosen = [i for i, o in enumerate(before) if task in ("all", o.request.task)]
        rows.append(
            {
                "task": task,
                "n": str(len(chosen)),
                "before": _percent([before[i].success for i in chosen]),
                "after": _percent([after[i].success for i in chosen]),
                "first before": _percent([before[i].first_success for i in chosen]),
                "first after": _percent([after[i].first_success for i in chosen]),
            }
        )
    return rows


def telling_pair(
    before: Sequence[Outcome], after: Sequence[Outcome]
) -> tuple[Outcome, Outcome] | None:
    """A request that failed before and succeeds after: one that the agent answers in the end if
    there is one, with the most pictures, and of these the one whose last pictures look least alike;
    else any with a picture, or None where nothing was drawn.
    """
    pairs = [(b, a) for b, a in zip(before, after, strict=True) if b.passed or a.passed]
    won = [(b, a) for b, a in pairs if a.success and b.success is False]

    def rank(pair: tuple[Outcome, Outcome]) -> tuple[bool, int, float]:
        pictures = len(pair[0].passed) + len(pair[1].passed)
        return pair[1].trajectory.ending == "answer", pictures, _change(*pair)

    # The first of the best: max keeps the order of requests.
    return max(won or pairs, key=rank, default=None)


def _change(before: Outcome, after: Outcome) -> float:
    """Mean absolute difference of the last pictures' levels, 0 to 255, at 48x48 pixels; 0 where one
    of the two has no picture."""
    if not (before.passed and after.passed):
        return 0.0
    first, last = (
        outcome.trajectory.pictures[-1].image.convert("RGB").resize((48, 48))
        for outcome in (before, after)
    )
    return sum(ImageStat.Stat(ImageChops.difference(first, last)).mean) / 3


def _difference(before: Sequence[Outcome], after: Sequence[Outcome]) -> PairedDifference:
    return paired_difference([(b.success, a.success) for b, a in zip(before, after, strict=True)])


def _percent(values: Sequence[bool | None]) -> str:
    share = rate(values)
    if not share.trials:
        return "unknown"
    return share.short if share.trials == len(values) else f"{share.short} of {share.trials}"
