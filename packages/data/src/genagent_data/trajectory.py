"""One attempt of the agent at one request, as messages and pictures; tokens are not known here."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from genagent_data.request import Request

Ending = Literal["answer", "out_of_rounds", "format_error", "tool_failure"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Round:
    """One picture: the thought and the prompt it came from, and what the agent made of it.

    Example: ``Round(thinking="need 3 red circles", tool_prompt="red circle top-left, …",
    image="9f2c…", judgement="red circle top-left … wrong", seed=17)``
    """

    thinking: str | None
    tool_prompt: str
    image: str | None
    """SHA-256 of the PNG in the picture store; None where the tool failed."""
    judgement: str | None = None
    """The agent's words on this picture; None where the trajectory ended before them."""
    seed: int = 0
    """The tool's seed for this picture."""
    tool_seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Trajectory:
    """A request, the rounds, and how it ended."""

    request: Request
    rounds: tuple[Round, ...]
    answer: str | None = None
    ending: Ending
    error: str | None = None
    """Name of the format error, one of ``FORMAT_ERRORS``, or the tool's message."""

    @property
    def images(self) -> tuple[str, ...]:
        """The pictures drawn, in order; the last one is the trajectory's output."""
        return tuple(round.image for round in self.rounds if round.image is not None)


def write_trajectories(path: Path, trajectories: Iterable[Trajectory]) -> None:
    """Write one JSON object a line, whole or not at all. Raises OSError where it cannot."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("w", encoding="utf-8") as file:
            for trajectory in trajectories:
                file.write(json.dumps(asdict(trajectory), ensure_ascii=False) + "\n")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read_trajectories(path: Path) -> list[Trajectory]:
    """Read what ``write_trajectories`` wrote.

    Raises:
        ValueError: a line is not a trajectory; the message names file and line number.
        OSError: the file cannot be read.
    """
    trajectories = []
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                trajectories.append(_trajectory(json.loads(line)))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise ValueError(f"{path}:{number}: not a trajectory ({error})") from error
    return trajectories


def _trajectory(row: dict) -> Trajectory:
    request = row.pop("request")
    request["hints"] = tuple(request["hints"])
    rounds = tuple(Round(**round) for round in row.pop("rounds"))
    return Trajectory(request=Request(**request), rounds=rounds, **row)
