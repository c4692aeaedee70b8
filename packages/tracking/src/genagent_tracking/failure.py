"""How a run failed, in its folder: what was said on the terminal, and when."""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from genagent_data import write_text
from genagent_tracking.record import TrackingError


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """Example: ``Failure(error="disk full", step=7, time="2026-03-01 12:30:07")``"""

    error: str
    """One line, as on the terminal."""
    step: int
    """Steps taken by then."""
    time: str
    """Local."""


def error_line(error: BaseException) -> str:
    """What an error says, on one line; of a group, what each of them says."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(error_line(one) for one in error.exceptions)
    if isinstance(error, OSError) and error.filename is not None:
        words = f"{error.filename}: {error.strerror}"
    else:
        named = isinstance(error, ValueError | KeyboardInterrupt | TrackingError)
        words = str(error) if named else f"{type(error).__name__}: {error}"
    return " ".join(words.split()) or "failed without a message"


def failure_file(folder: Path) -> Path:
    """Where a run keeps its failure; none once it goes on."""
    return folder / "failure.json"


def write_failure(folder: Path, error: BaseException, step: int) -> None:
    """Raises OSError where it cannot be written."""
    now = time.strftime("%Y-%m-%d %H:%M:%S")
    failure = Failure(error=error_line(error), step=step, time=now)
    write_text(failure_file(folder), json.dumps(asdict(failure)))


def read_failure(folder: Path) -> Failure | None:
    """None where the run has not failed.

    Raises:
        ValueError: the file holds something else.
    """
    path = failure_file(folder)
    if not path.exists():
        return None
    try:
        return Failure(**json.loads(path.read_text(encoding="utf-8")))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} is no failure of a run ({error})") from error
