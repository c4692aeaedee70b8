"""Who watches requests being answered: a terminal, or a program that reads lines of JSON."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

from rich.console import Console

from genagent_data import Request
from genagent_serving.answered import Answered
from genagent_serving.generation_folder import GenerationFolder
from genagent_serving.live import LiveRounds, many_requests
from genagent_tracking import print_line

WatcherFactory = Callable[[Request], LiveRounds | None]
"""Makes who watches a request's rounds, if anybody does."""
Ended = Callable[[Answered], None]
"""Who hears that a request has ended."""


@contextmanager
def shown(
    folder: GenerationFolder,
    requests: Sequence[Request],
    left: Sequence[Request],
    *,
    how: Literal["one", "many", "json"],
    max_rounds: int,
) -> Iterator[tuple[WatcherFactory, Ended]]:
    """Show on standard output what happens while the block runs.

    Args:
        folder: keeps a request before it is said to have ended.
        left: those of ``requests`` that are not answered yet.
        how: the rounds of the only request; a bar over many; or a line of JSON for each, first for
            those that were answered before.
        max_rounds: pictures that a request may have.
    """
    console = Console(highlight=False)
    if how == "json":
        for request in requests:
            if request not in left:
                _print_row(folder, request)
        yield lambda request: None, lambda answered: _print_row(folder, answered.request)
    elif how == "many":
        done = len(requests) - len(left)
        if left and not console.is_terminal:
            print_line("loading")
        with many_requests(console, len(requests), done=done) as show:
            yield (
                lambda request: None,
                lambda answered: show(folder.rows[answered.request.id], folder.path),
            )
    elif left:
        rounds = LiveRounds(console, left[0], max_rounds=max_rounds, path=folder.picture_path)
        try:
            yield lambda request: rounds, rounds.ended
        finally:
            rounds.close()
    else:
        print_line("answered before")
        yield lambda request: None, lambda answered: None


def say_where(folder: GenerationFolder, requests: Sequence[Request], *, is_one: bool) -> None:
    """Say where the pictures and their page are, and how many requests have none.

    Args:
        is_one: there is one request, which was given as a prompt.
    """
    rows = [folder.rows[request.id] for request in requests]
    if is_one:
        page = folder.path / rows[0]["page"]
        print_line(f"pictures and contact sheet: {page.parent}")
    else:
        page = folder.index
        without = sum(row["picture"] is None for row in rows)
        print_line(f"{len(rows)} requests, {without} without a picture: {folder.path}")
    print_line(f"page: {page}")


def _print_row(folder: GenerationFolder, request: Request) -> None:
    """A request's result as a line of JSON, its paths as they are seen from here."""
    print(json.dumps(folder.row_from_here(request.id), ensure_ascii=False), flush=True)
