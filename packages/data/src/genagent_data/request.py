"""A request for a picture, and files of them."""

import json
from dataclasses import dataclass
from pathlib import Path


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


def read_requests(path: Path) -> list[Request]:
    """Read requests from ``.jsonl`` (one object a line) or ``.txt`` (one prompt a line).

    Raises:
        ValueError: a line is not a request; the message names file and line number.
        OSError: the file cannot be read.
    """
    requests = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        if path.suffix == ".jsonl":
            requests.append(_from_json(line, where=where, default_id=f"{path.stem}-{number}"))
        else:
            requests.append(Request(id=f"{path.stem}-{number}", prompt=line.strip()))
    if not requests:
        raise ValueError(f"{path}: holds no request")
    return requests


def _from_json(line: str, *, where: str, default_id: str) -> Request:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"{where}: not JSON ({error.msg}); write one object a line") from error
    if not isinstance(row, dict) or not isinstance(row.get("prompt"), str):
        raise ValueError(f'{where}: wants an object with a text "prompt", has {line[:60]!r}')
    unknown = sorted(set(row) - {"id", "prompt", "task", "hints", "reference"})
    if unknown:
        raise ValueError(f"{where}: unknown key {unknown[0]!r}; known: id, prompt, task, hints")
    hints = row.get("hints", [])
    if not isinstance(hints, list) or not all(isinstance(hint, str) for hint in hints):
        raise ValueError(f'{where}: "hints" wants a list of texts, has {hints!r}')
    try:
        return Request(
            id=str(row.get("id", default_id)),
            prompt=row["prompt"],
            task=str(row.get("task", "free")),
            hints=tuple(hints),
            reference=row.get("reference"),
        )
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
