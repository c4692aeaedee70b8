"""What a run's folder holds, read for its report; a run that has not ended has less of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genagent_data import PictureStore
from genagent_tracking.failure import Failure, failure_file, read_failure
from genagent_tracking.step_figures import figures_file, read_figures
from genagent_worlds import GroupRecord, Outcome, read_groups, read_outcomes


@dataclass(frozen=True, kw_only=True, slots=True)
class RunRecord:
    """Everything that a report shows."""

    name: str
    config: Mapping[str, Any]
    """As ``config.json`` has it."""
    summary: Mapping[str, Any]
    """Empty where the run has not ended."""
    failure: Failure | None
    figures: Mapping[str, Mapping[int, float]]
    """By name and step."""
    evaluations: Mapping[int, list[Outcome]]
    """By the steps taken before them, in order."""
    groups: Mapping[int, list[GroupRecord]]
    """By step, in order; of every so many steps."""

    @property
    def status(self) -> str:
        """How it ended, in words."""
        if self.failure is not None:
            return "failed"
        return self.summary.get("status", "not ended")

    @property
    def steps(self) -> int:
        """The latest that there is something of."""
        return max((step for by_step in self.figures.values() for step in by_step), default=0)

    @property
    def before(self) -> list[Outcome]:
        """The evaluation before the first step; empty where none was made."""
        return self.evaluations.get(0, [])

    @property
    def after(self) -> list[Outcome]:
        """The latest evaluation of the same requests; empty where none was made."""
        latest = max(self.evaluations, default=0)
        found = self.evaluations[latest] if latest else []
        same = [o.request.id for o in found] == [o.request.id for o in self.before]
        return found if same else []


def has_record(folder: Path) -> bool:
    """Whether a run has left anything there that a report shows."""
    files = (figures_file(folder), failure_file(folder))
    return any(path.exists() for path in files) or bool(_by_step(folder, "evaluation"))


def read_run(folder: Path) -> RunRecord:
    """
    Raises:
        ValueError: it is no folder of a run, or one without steps or evaluations, or a file of it
            is damaged; the message names it.
        OSError: a file or a picture cannot be read.
    """
    if not (folder / "config.json").is_file():
        raise ValueError(f"{folder} is no run: it has no config.json; give a folder of runs/")
    if not has_record(folder):
        raise ValueError(
            f"{folder} has neither steps nor evaluations to report; summary.json has its figures"
        )
    store = PictureStore(folder / "pictures")
    return RunRecord(
        name=folder.resolve().name,
        config=_read(folder / "config.json"),
        summary=_read(folder / "summary.json") if (folder / "summary.json").exists() else {},
        failure=read_failure(folder),
        figures=read_figures(folder),
        evaluations={
            step: read_outcomes(path, store) for step, path in _by_step(folder, "evaluation")
        },
        groups={step: read_groups(path, store) for step, path in _by_step(folder, "groups")},
    )


def _by_step(folder: Path, name: str) -> list[tuple[int, Path]]:
    paths = sorted(folder.glob(f"{name}-??????.jsonl"))
    return [(int(path.stem.removeprefix(f"{name}-")), path) for path in paths]


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path} holds a {type(found).__name__} and no object")
    return found
