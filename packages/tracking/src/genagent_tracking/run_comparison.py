"""Runs side by side on the same held-out requests: what an option did, and how sure that is."""

from collections.abc import Callable, Sequence
from pathlib import Path

from genagent_tracking.console import print_line, print_table
from genagent_tracking.run_record import RunRecord, read_run
from genagent_worlds import Outcome, paired_difference, paired_p_value, rate, success_name


def compare_runs(folders: Sequence[Path]) -> None:
    """Print what each run has learnt, and how each differs from the first, request by request.

    Raises:
        ValueError: fewer than two folders, one that is no run or has no evaluation after learning,
            or runs that were not asked the same requests.
        OSError: a file of theirs cannot be read.
    """
    if len(folders) < 2:
        raise ValueError(f"{len(folders)} run; a comparison wants two or more folders of runs/")
    runs = [read_run(folder) for folder in folders]
    for run in runs:
        _check(run, runs[0])
    name = success_name(runs[0].after[0].source).replace("_", " ")
    rows = [_row(run) for run in runs]
    print_table(f"{name}, % [95 % interval]", rows, has_total=False, words=2)
    first, others = runs[0], runs[1:]
    rows = [_difference(first, run) for run in others]
    title = f"against {first.name}, points [95 % interval], p of the paired exact McNemar test"
    print_table(title, rows, has_total=False)
    print_line(f"{len(first.after)} held-out requests, the same for all")


def _check(run: RunRecord, first: RunRecord) -> None:
    if not run.after:
        raise ValueError(
            f"{run.name} has no evaluation after learning; let it end, or go on with it by --resume"
        )
    name, other = (success_name(one.after[0].source) for one in (run, first))
    if name != other:
        raise ValueError(
            f"{run.name} has {name.replace('_', ' ')} and {first.name} {other.replace('_', ' ')}; "
            "compare runs of one kind of world"
        )
    if [o.request.id for o in run.after] != [o.request.id for o in first.after]:
        raise ValueError(
            f"{run.name} was asked other held-out requests than {first.name}; compare runs of one "
            "--seed and one --held-out"
        )


def _row(run: RunRecord) -> dict[str, str]:
    after = run.after
    failed = [one for one in after if one.first_success is False]
    mended = rate([one.success for one in failed])
    pictures = [len(one.trajectory.pictures) for one in after]
    return {
        "run": run.name,
        "changed": str(run.summary.get("changed") or "-"),
        "before": rate([one.success for one in run.before]).short,
        "after": rate([one.success for one in after]).short,
        "first": rate([one.first_success for one in after]).short,
        "mended": mended.short if mended.trials else "-",
        "pictures": f"{sum(pictures) / len(pictures):.2f}",
    }


def _difference(first: RunRecord, run: RunRecord) -> dict[str, str]:
    gains = {
        "last picture": lambda outcome: outcome.success,
        "first picture": lambda outcome: outcome.first_success,
    }
    found = {name: _gain(first.after, run.after, of) for name, of in gains.items()}
    return {"run": run.name, **found, "p": f"{paired_p_value(first.after, run.after):.2g}"}


def _gain(
    first: Sequence[Outcome], other: Sequence[Outcome], of: Callable[[Outcome], bool | None]
) -> str:
    gain = paired_difference([(of(a), of(b)) for a, b in zip(first, other, strict=True)])
    low, high = gain.interval
    return f"{100 * gain.value:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"
