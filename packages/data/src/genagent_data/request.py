"""A request for a picture."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What a user wants to see.

    Example: ``Request(id="train-7", prompt="three red circles", task="color/count",
    hints=("exactly 3 red circles", "nothing else"))``
    """

    id: str
    prompt: str
    """The words the agent is given, unchanged."""
    task: str = "free"
    """Task type; results are broken down by it."""
    hints: tuple[str, ...] = ()
    """Conditions a judge checks one by one; the agent never sees them."""
    reference: str | None = None
    """Path of a reference picture, where a benchmark or a data set has one."""

    def __post_init__(self) -> None:
        if not self.prompt.strip():
            raise ValueError(f"request {self.id!r} has an empty prompt")


def evenly_by_task(requests: Sequence[Request], n: int) -> list[Request]:
    """At most ``n`` of them, taken from the tasks in turn, in their order: files of benchmarks are
    sorted by task, and their first ones are of one."""
    ranks: dict[str, int] = {}
    ranked: list[tuple[int, int]] = []
    for place, request in enumerate(requests):
        rank = ranks[request.task] = ranks.get(request.task, -1) + 1
        ranked.append((rank, place))
    return [requests[place] for place in sorted(place for _, place in sorted(ranked)[:n])]


def requests_digest(requests: Iterable[Request]) -> str:
    """Twelve digits of all that is asked in them, in their order. Where reference pictures lie is
    left out: it changes when their archives are unpacked."""
    asked = [(request.id, request.prompt, request.task, request.hints) for request in requests]
    return hashlib.sha256(repr(asked).encode()).hexdigest()[:12]
