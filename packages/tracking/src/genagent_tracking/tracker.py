"""What an experiment records, and the seam it records through.

Experiments hold a ``Tracker`` and never MLflow itself: ranks other than the first, smoke runs and
tests pass a ``NullTracker``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from PIL import Image

from genagent_data import Trajectory
from genagent_rewards import RewardRecord

RunStatus = Literal["finished", "killed", "failed"]
"""How a run ended: by itself, stopped by the user, or by an error."""


class TrackingError(RuntimeError):
    """The store cannot be reached or written; the message names it in one line."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrajectoryRecord:
    """A trajectory as it is shown to a reader.

    Example: ``TrajectoryRecord(trajectory=trajectory, turns=("<think>…</tool_call>",
    "<judge>…</answer>"), record=reward, true_success=True)``
    """

    trajectory: Trajectory
    turns: tuple[str, ...]
    """The text the agent sampled in each turn, to the letter."""
    record: RewardRecord | None = None
    """The reward with its verdicts; None where no reward was asked for."""
    true_success: bool | None = None
    """Whether the last picture truly satisfies the request, where the truth is known."""


class Tracker(Protocol):
    """Where an experiment's figures, trajectories, pictures and files go."""

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Record one step's figures, named ``group/name``."""
        ...

    def trajectories(self, items: Sequence[TrajectoryRecord], step: int) -> None:
        """Record trajectories with their pictures, verdicts and rewards."""
        ...

    def images(self, key: str, grid: Image.Image | Sequence[Image.Image], step: int) -> None:
        """Record one picture, or several as a grid, that changes over the steps."""
        ...

    def artifact(self, path: Path) -> None:
        """Keep a copy of a file or folder with the run."""
        ...

    def close(self, status: RunStatus = "finished") -> None:
        """Write what is still waiting and end the run; closing twice does nothing."""
        ...


class NullTracker:
    """Records nothing."""

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        pass

    def trajectories(self, items: Sequence[TrajectoryRecord], step: int) -> None:
        pass

    def images(self, key: str, grid: Image.Image | Sequence[Image.Image], step: int) -> None:
        pass

    def artifact(self, path: Path) -> None:
        pass

    def close(self, status: RunStatus = "finished") -> None:
        pass
