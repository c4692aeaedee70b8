"""The world of files and endpoints: own requests, real generators and judges, no known truth."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from genagent_data import Request
from genagent_worlds.own_requests import requests_from
from genagent_worlds.services import Services
from genagent_worlds.world import World

VERDICTS = "verdicts.sqlite"
"""Cache of verdicts in a run's folder."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FilesAndEndpoints(Services):
    """Requests from files, pictures and verdicts from servers or from models in this process.

    Example: FilesAndEndpoints(train=Path("train.txt"), held_out=Path("Geneval++.jsonl"),
    tool="http://gpu1:8000", judge="http://gpu2:8000/v1", judge_model="Qwen3-VL-30B")
    """

    kind: Annotated[Literal["files and endpoints"], tyro.conf.Suppress] = "files and endpoints"
    train: Path | None = None
    """Requests to learn from: .jsonl or .json (prompt, hints, …; GenEval++'s own rows too), one
    prompt a line, or module:callable, which gives a list of them."""
    held_out: Path | None = None
    """Requests of the evaluations, likewise."""

    @property
    def policies(self) -> Mapping[str, Path]:
        return {}

    def problems(self, *, ask_servers: bool = True) -> list[str]:
        """See ``WorldConfig``."""
        files = (("--world.train", self.train), ("--world.held-out", self.held_out))
        return [
            *(line for option, path in files for line in request_problems(option, path)),
            *Services.problems(self, ask_servers=ask_servers),
        ]

    def open(self, run_folder: Path, *, seed: int) -> World:
        """See ``WorldConfig``."""
        assert self.train is not None and self.held_out is not None
        tool = self.open_tool()
        return World(
            train=FileRequests(requests_from(self.train)),
            held_out=tuple(requests_from(self.held_out)),
            tool=tool,
            words=self.words_of(tool),
            judges=self.open_judges(cache=run_folder / VERDICTS),
        )


class FileRequests:
    """Requests of a file in epochs: each comes once before any comes again."""

    def __init__(self, requests: Sequence[Request]) -> None:
        self.requests = tuple(requests)

    def sample(self, n: int, *, seed: int, step: int = 0) -> list[Request]:
        """See ``Requests``. Steps of one size follow one another through shuffled epochs."""
        places = range(step * n, (step + 1) * n)
        epochs = {place // len(self.requests) for place in places}
        orders = {epoch: self._order(epoch, seed) for epoch in epochs}
        return [
            self.requests[orders[epoch][number]]
            for epoch, number in (divmod(place, len(self.requests)) for place in places)
        ]

    def _order(self, epoch: int, seed: int) -> list[int]:
        order = list(range(len(self.requests)))
        random.Random(f"epoch-{seed}-{epoch}").shuffle(order)
        return order


def request_problems(option: str, path: Path | None) -> Iterator[str]:
    """A line where a file of requests is missing or cannot be used."""
    if path is None:
        yield (
            f"{option} is missing: give a file of requests (.jsonl, .json, or one prompt a line), "
            "or module:callable"
        )
        return
    try:
        requests_from(path)
    except OSError as error:
        why = error.strerror or error
        yield f"{option} is {path}: {why}; wants a file of requests, or module:callable"
    except ValueError as error:
        yield " ".join(str(error).split())
