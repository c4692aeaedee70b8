"""What a run shows in the terminal: a line of progress, plain lines, a table."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from genagent_data import Funnel

SHOWN = {
    "loss": "loss",
    "nats": "sft/loss",
    "reward": "reward/total",
    "success": "rollout/success",
    "judged success": "rollout/judged_success",
    "first": "rollout/first_success",
    "rounds": "rollout/rounds",
}
"""What the line of progress says, and the metric behind it."""

_OUT = Console(highlight=False, soft_wrap=True)
_ERR = Console(stderr=True, highlight=False, soft_wrap=True)


class StepProgress:
    """The bar of a run; without a terminal, a plain line every tenth of the way."""

    def __init__(self, progress: Progress, task: TaskID, steps: int, done: int) -> None:
        self._progress = progress
        self._task = task
        self._steps = steps
        self._done = done

    def advance(self, metrics: Mapping[str, float]) -> None:
        """One step is done, with these metrics."""
        self._done += 1
        figures = "  ".join(
            f"{label} {metrics[name]:.2f}" for label, name in SHOWN.items() if name in metrics
        )
        self._progress.update(self._task, advance=1, figures=figures)
        if not _OUT.is_terminal and (
            self._done % max(1, self._steps // 10) == 0 or self._done == self._steps
        ):
            print_line(f"step {self._done}/{self._steps}  {figures}")


@contextmanager
def step_progress(steps: int, title: str = "learning", *, done: int = 0) -> Iterator[StepProgress]:
    """Shows step, figures, time spent and time left while the block runs.

    Args:
        done: steps that an earlier part of a resumed run has taken.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=_OUT, disable=not _OUT.is_terminal) as progress:
        task = progress.add_task(title, total=steps, completed=done, figures="")
        yield StepProgress(progress, task, steps, done)


@contextmanager
def answer_progress(title: str) -> Iterator[Callable[[int, int], None]]:
    """Shows how many requests have been answered, of how many; without a terminal, a plain line at
    the end."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=_OUT, disable=not _OUT.is_terminal) as progress:
        task = progress.add_task(title, total=None)

        def show(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)
            if not _OUT.is_terminal and done == total:
                print_line(f"{title}: {done} answers")

        yield show


@contextmanager
def funnel_progress(total: int | None) -> Iterator[Callable[[Funnel], None]]:
    """Shows, stage by stage, how many have come through and why others have not; without a
    terminal, a plain line every tenth of the way.

    Args:
        total: requests; None where their number is not known, and then a line every thousand.
    """
    columns = (
        TextColumn("{task.description:<8}"),
        BarColumn(bar_width=16),
        TextColumn("{task.fields[figures]}"),
    )
    often = 1000 if total is None else max(1, total // 10)
    said = 0
    with Progress(*columns, console=_OUT, disable=not _OUT.is_terminal) as progress:
        tasks: dict[str, TaskID] = {}

        def show(funnel: Funnel) -> None:
            nonlocal said
            coming = total
            for stage in funnel.stages[1:-1]:
                if stage.name not in tasks:
                    tasks[stage.name] = progress.add_task(stage.name, total=coming, figures="")
                drops = sorted(stage.drops.items(), key=lambda item: -item[1])
                reasons = "  ".join(f"{reason} {n}" for reason, n in drops)
                progress.update(
                    tasks[stage.name],
                    total=coming,
                    completed=stage.kept + stage.dropped,
                    figures=f"kept {stage.kept}  {reasons}",
                )
                if coming is not None:
                    coming -= stage.dropped
            first, last = funnel.stages[1], funnel.stages[-2]
            done = first.kept + first.dropped
            if not _OUT.is_terminal and (done // often > said):
                said = done // often
                drops = ", ".join(
                    f"{reason} {n}" for s in funnel.stages for reason, n in s.drops.items()
                )
                of = "" if total is None else f"/{total}"
                print_line(f"{done}{of} requests  through {last.kept}  dropped: {drops or 'none'}")

        yield show


def quiet_libraries() -> None:
    """Keep from the terminal what libraries say about themselves when they are loaded."""
    # Its check for an accelerator warns on stdout that there is none, whenever diffusers is loaded.
    logging.getLogger("DeepSpeed").addFilter(lambda record: record.levelno >= logging.ERROR)


def print_line(text: str) -> None:
    """One plain line; nothing in it is taken for markup."""
    _OUT.print(text, markup=False)


def print_error(text: str) -> None:
    """One line on standard error."""
    _ERR.print(f"error: {text}", markup=False, style="red")


def print_table(
    title: str, rows: Sequence[Mapping[str, str]], *, has_total: bool = True, words: int = 1
) -> None:
    """Rows of equal columns; the first row is set apart where it is the total.

    Args:
        words: columns that hold words, from the left; the others hold figures.
    """
    # As narrow as that, since the table of results fits into 80 columns with 100 [93-100] in each.
    table = Table(title=title, title_justify="left", box=box.SIMPLE, padding=(0, 1, 0, 0))
    for place, name in enumerate(rows[0] if rows else ()):
        justify = "left" if place < words else "right"
        table.add_column(name, justify=justify, no_wrap=True)
    for index, row in enumerate(rows):
        table.add_row(*row.values(), end_section=has_total and index == 0)
    _OUT.print(table)
