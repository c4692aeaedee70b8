"""What is shown while work goes on: bars on a terminal, and elsewhere a plain line now and then.

On a terminal a bar is alive: its clock runs whatever it waits for. In a file or a pipe there is a
line when work begins, one where there is something to say, and one after ten quiet seconds, then
after longer and longer ones up to a minute.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from rich.console import RenderableType
from rich.progress import BarColumn, Progress, Task, TaskID, TextColumn
from rich.text import Text

from genagent_data import Funnel
from genagent_data.synthesis import StageFigures
from genagent_tracking.console import LATEST, TERMINAL, print_line

Item = TypeVar("Item")

MEAN_OF = 5
"""Steps whose mean a bar's figures are: one step's 16 requests are too few to see a trend in."""
SHOWN = {
    "loss": "loss",
    "nats": "sft/loss",
    "reward": "agent/reward",
    "success": "agent/success",
    "judged success": "agent/judged_success",
    "first": "agent/first_success",
    "rounds": "agent/rounds",
}
"""What the line of progress says, and the metric behind it."""

_LONG_TITLE = 32
"""Characters from which on a title has a line of its own: beside bar, count and clock 80 columns
have room for so many."""
_QUIET = 10.0
_QUIET_AT_MOST = 60.0


def clock(seconds: float) -> str:
    """``0:07``, ``12:30``, ``1:02:03``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Bar:
    """One thing that goes on, of so many parts or of nobody knows how many."""

    def __init__(self, title: str, total: int | None, done: int, *, clocked: bool) -> None:
        self.title = title
        self.total = total
        self.done = done
        self.said = ""
        """Figures, shown below the bar."""
        self._clocked = clocked
        self._began = time.monotonic()
        self._done_before = done

    def update(self, done: int, total: int | None, said: str = "") -> None:
        """So many are done, and this is to be said of them."""
        self.done, self.total, self.said = done, total, said

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    @property
    def count(self) -> str:
        return "" if self.total is None else f"{self.done}/{self.total}"

    @property
    def times(self) -> str:
        """Spent, and left at the pace so far."""
        if not self._clocked:
            return ""
        taken = self.done - self._done_before
        if self.total is None or not taken or self.done >= self.total:
            return clock(self.seconds)
        left = self.seconds / taken * (self.total - self.done)
        return f"{clock(self.seconds)}, {clock(left)} left"

    def line(self) -> str:
        """All of it as plain text, in two lines where 80 columns are too few for one."""
        where = "  ".join(filter(None, (self.title, self.count, self.times)))
        together = f"{where}  {self.said}" if self.said else where
        return together if len(together) <= 80 else f"{where}\n  {self.said}"


class _Board(Progress):
    """The bars of the terminal, one below another; what has no room beside its bar is folded."""

    def __init__(self) -> None:
        super().__init__(
            TextColumn("{task.fields[beside]}", markup=False),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[bar].count}", markup=False),
            TextColumn("{task.fields[bar].times}", markup=False),
            console=TERMINAL,
            transient=True,
        )

    def get_renderables(self) -> Iterator[RenderableType]:
        for task in self.tasks:
            bar: Bar = task.fields["bar"]
            if not task.fields["beside"]:
                yield Text(bar.title)
            yield self.make_tasks_table([_moved(task, bar)])
            if bar.said:
                yield Text(f"  {bar.said}")


def _moved(task: Task, bar: Bar) -> Task:
    task.completed, task.total = bar.done, bar.total
    return task


_board: _Board | None = None
_innermost: list[Bar] = []


@contextmanager
def _shown(
    title: str, total: int | None = None, *, done: int = 0, clocked: bool = True
) -> Iterator[Bar]:
    """A bar while the block runs, below those of the blocks around it."""
    bar = Bar(title, total, done, clocked=clocked)
    _innermost.append(bar)
    try:
        with _on_terminal(bar) if TERMINAL.is_terminal else _in_lines(bar):
            yield bar
    finally:
        _innermost.remove(bar)


@contextmanager
def _on_terminal(bar: Bar) -> Iterator[None]:
    global _board
    board = _board = _board or _Board()
    beside = "" if len(bar.title) >= _LONG_TITLE else bar.title
    task: TaskID = board.add_task("", total=bar.total, bar=bar, beside=beside)
    board.start()
    try:
        yield
    finally:
        board.remove_task(task)
        if not board.tasks:
            board.stop()
            _board = None


@contextmanager
def _in_lines(bar: Bar) -> Iterator[None]:
    over = threading.Event()

    def speak() -> None:
        quiet = _QUIET
        while not over.wait(1.0):
            since = time.monotonic() - LATEST.said
            if _innermost[-1:] == [bar] and min(since, bar.seconds) >= quiet:
                print_line(bar.line())
                quiet = min(1.5 * quiet, _QUIET_AT_MOST)

    speaker = threading.Thread(target=speak, name="progress", daemon=True)
    speaker.start()
    try:
        yield
    finally:
        over.set()
        speaker.join()


@contextmanager
def waiting(title: str, *, at_once: bool = True) -> Iterator[None]:
    """Shows that something is going on which cannot be counted.

    Args:
        at_once: begin with a line where there is no terminal; else only what lasts is told of.
    """
    if at_once and not TERMINAL.is_terminal:
        print_line(title)
    with _shown(title):
        yield


class StepProgress:
    """The bar of a run; without a terminal, a plain line every tenth of the way besides."""

    def __init__(self, bar: Bar, steps: int) -> None:
        self._bar = bar
        self._steps = steps
        self._latest: deque[Mapping[str, float]] = deque(maxlen=MEAN_OF)

    def advance(self, metrics: Mapping[str, float]) -> None:
        """One step is done, with these metrics."""
        self._latest.append(metrics)
        done = self._bar.done + 1
        self._bar.update(done, self._steps, self._figures())
        tenth = max(1, self._steps // 10)
        if not TERMINAL.is_terminal and (done % tenth == 0 or done == self._steps):
            print_line(self._bar.line())

    def _figures(self) -> str:
        figures = []
        for label, name in SHOWN.items():
            values = [metrics[name] for metrics in self._latest if name in metrics]
            if values:
                figures.append(f"{label} {sum(values) / len(values):.2f}")
        if figures and len(self._latest) > 1:
            figures.append(f"(mean of {len(self._latest)} steps)")
        return "  ".join(figures)


@contextmanager
def step_progress(steps: int, title: str = "learning", *, done: int = 0) -> Iterator[StepProgress]:
    """Shows step, figures, time spent and time left while the block runs.

    The figures are means of the last five steps.

    Args:
        done: steps that an earlier part of a resumed run has taken.
    """
    with _shown(title, steps, done=done) as bar:
        yield StepProgress(bar, steps)


def counted(title: str, items: Iterable[Item]) -> Iterator[Item]:
    """The items, while it is shown how many there have been."""
    with _shown(title) as bar:
        for number, item in enumerate(items, 1):
            yield item
            bar.update(number, None, f"{number:,} done")


class AnswerProgress:
    """The bar of answers, whose pictures may be long in coming before the first of them."""

    def __init__(self, bar: Bar) -> None:
        self._bar = bar

    def answered(self, done: int, total: int) -> None:
        """So many requests are answered."""
        self._bar.update(done, total, self._bar.said)

    def drawn(self, come: int, asked: int) -> None:
        """So many pictures have come, of those that were asked for so far; from any thread."""
        self._bar.said = f"pictures {come}/{asked}" if come < asked else ""


@contextmanager
def answer_progress(title: str, total: int | None = None) -> Iterator[AnswerProgress]:
    """Shows how many requests have been answered, of how many, and while pictures are drawn how
    many of these have come; a plain line at the end."""
    if not TERMINAL.is_terminal:
        print_line(title)
    with _shown(title, total) as bar:
        yield AnswerProgress(bar)
    print_line(f"{title}: {bar.done} answers, {clock(bar.seconds)}")


@contextmanager
def work_progress(title: str, total: int, *, done: int = 0) -> Iterator[Callable[[int, str], None]]:
    """Shows how many parts of some work are done while the block runs, and what is said of them;
    of unequal parts who runs them knows better than a count how long the rest will take."""
    with _shown(title, total, done=done, clocked=False) as bar:
        yield lambda done, said: bar.update(done, total, said)


@contextmanager
def funnel_progress(total: int | None) -> Iterator[Callable[[Funnel], None]]:
    """Shows, stage by stage, how many have come through and why others have not; without a
    terminal, a plain line every tenth of the way.

    Args:
        total: requests; None where their number is not known, and then a line every thousand.
    """
    often = 1000 if total is None else max(1, total // 10)
    said = 0
    with _shown("requests", total) as bar:

        def show(funnel: Funnel) -> None:
            nonlocal said
            first, last = funnel.stages[1], funnel.stages[-2]
            done = first.kept + first.dropped
            if TERMINAL.is_terminal:
                bar.update(done, total, "\n  ".join(map(_stage_line, funnel.stages[1:-1])))
                return
            drops = ", ".join(
                f"{reason} {n}" for s in funnel.stages for reason, n in s.drops.items()
            )
            bar.update(done, total, f"through {last.kept}  dropped: {drops or 'none'}")
            if done // often > said:
                said = done // often
                print_line(bar.line())

        yield show


def _stage_line(stage: StageFigures) -> str:
    drops = sorted(stage.drops.items(), key=lambda item: -item[1])
    reasons = "".join(f"  {reason} {n}" for reason, n in drops)
    return f"{stage.name:<8}  kept {stage.kept}{reasons}"
