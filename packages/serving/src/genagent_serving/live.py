"""The agent at work, on a terminal: its rounds as they happen, or many requests in a line each."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.status import Status
from rich.table import Table
from rich.text import Text

from genagent_data import Picture, Request, Round, Turn
from genagent_serving.answered import Answered, ending_words
from genagent_tracking.printable import one_line, printable

WIDTH = 9
"""Characters of a label."""
LABEL = "bold blue"
PREVIEW = 64
"""Pixels of the longer side up to which a picture is drawn in blocks, two pixels a character."""


class LiveRounds:
    """A ``Watcher`` that shows one request's rounds."""

    def __init__(
        self,
        console: Console,
        request: Request,
        *,
        max_rounds: int,
        path: Callable[[Request, int, Picture], Path],
    ) -> None:
        """
        Args:
            path: where the picture of a round is, from 1.
        """
        self._console = console
        self._request = request
        self._max_rounds = max_rounds
        self._path = path
        self._number = 0
        self._waiting: Status | None = None
        self._say("request", request.prompt, style="bold")
        self._wait_for("loading")

    def spoke(self, turn: Turn) -> None:
        self._wait_for(None)
        self._say("assess", turn.judgement)
        self._say("think", turn.thinking, style="dim")
        if turn.answer is not None:
            self._say("answer", turn.answer)
        elif turn.tool_prompt is not None and self._number < self._max_rounds:
            self._say("prompt", turn.tool_prompt, style="cyan")
            self._wait_for("drawing")

    def drew(self, round: Round) -> None:
        self._wait_for(None)
        self._number += 1
        if round.picture is None:
            return
        path = self._path(self._request, self._number, round.picture)
        # Never folded: a path is there to be copied.
        line = (
            f"{f'picture {self._number}':<10}{printable(str(path))}  ({round.tool_seconds:.1f} s)"
        )
        self._console.print(Text(line, style="green"), soft_wrap=True)
        if self._console.is_terminal and self._console.color_system is not None:
            preview = blocks(round.picture.image)
            if preview is not None:
                self._console.print(_row("", preview))
        self._wait_for("looking")

    def ended(self, answered: Answered) -> None:
        """How it ended."""
        self._wait_for(None)
        style = "red" if answered.picture is None else "green"
        self._say("end", f"{ending_words(answered.trajectory)} {answered.seconds:.1f} s", style)

    def _say(self, label: str, text: str | None, style: str = "") -> None:
        if text is not None:
            self._console.print(_row(label, Text(printable(text), style=style)))

    def _wait_for(self, what: str | None) -> None:
        if self._waiting is not None:
            self._waiting.stop()
            self._waiting = None
        if what is not None and self._console.is_terminal:
            self._waiting = self._console.status(what)
            self._waiting.start()

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._wait_for(None)


def blocks(image: Image.Image) -> Text | None:
    """A small picture in coloured half blocks; None where it is too large for that."""
    if max(image.size) > PREVIEW:
        return None
    rgb = image.convert("RGB")
    text = Text()
    for y in range(0, rgb.height, 2):
        if y:
            text.append("\n")
        for x in range(rgb.width):
            above = _colour(rgb, x, y)
            below = f" on {_colour(rgb, x, y + 1)}" if y + 1 < rgb.height else ""
            text.append("▀", style=above + below)
    return text


@contextmanager
def many_requests(
    console: Console, total: int, *, done: int = 0
) -> Iterator[Callable[[Mapping[str, Any], Path], None]]:
    """A bar with how many are done and failed while the block runs, and a line for each that ends,
    which is told the request's line of results and the folder that it stands in."""
    columns = (
        TextColumn("requests"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[failed]} without a picture"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=total, completed=done, failed=0)
        ended = failed = 0

        def show(row: Mapping[str, Any], folder: Path) -> None:
            nonlocal ended, failed
            ended += 1
            failed += row["picture"] is None
            rounds = f"{len(row['rounds'])} round{'s' * (len(row['rounds']) != 1)}"
            what = row["picture"] and str(folder / row["picture"])
            if what is None:
                why = row["ending"] if row["error"] is None else f"{row['ending']}: {row['error']}"
                what = f"no picture ({one_line(why, limit=200)})"
            name = one_line(row["id"], limit=40)
            line = f"{done + ended}/{total}  {name}  {rounds}, {row['seconds']:.1f} s  {what}"
            console.print(Text(line, style="red" if row["picture"] is None else ""), soft_wrap=True)
            progress.update(task, completed=done + ended, failed=failed)

        yield show


def _row(label: str, text: Text) -> Table:
    row = Table.grid(padding=(0, 1))
    row.add_column(width=WIDTH, style=LABEL, no_wrap=True)
    row.add_column(overflow="fold")
    row.add_row(label, text)
    return row


def _colour(image: Image.Image, x: int, y: int) -> str:
    red, green, blue = image.getpixel((x, y))  # pyright: ignore[reportGeneralTypeIssues]
    return f"rgb({red},{green},{blue})"
