"""Options of every run."""

from dataclasses import dataclass, field
from pathlib import Path

from genagent_tracking.mlflow_tracker import TrackerConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class RunConfig:
    """Where a run is kept, what it computes with, and how much of it is shown."""

    seed: int = 0
    """All that is drawn by chance follows from it."""
    threads: int = 0
    """CPU threads that torch computes with: what a run learns depends on them to the last bit, and
    one is best where other processes use the cores as well; 0: as many as there are cores."""
    runs: Path = Path("runs")
    """Folder for the run's pictures, checkpoints and summary."""
    trajectories_every: int = 10
    """Steps between two samples of trajectories in MLflow."""
    checkpoint_every: int = 1
    """Steps between two states on disk, each as large as the policy with its optimizer."""
    keep_checkpoints: int = 2
    """States that stay on disk, the latest ones; where one is damaged the run goes on from the one
    before. While one is written there is room for one more."""
    keep_every: int | None = None
    """Steps between two policies that stay on disk whatever becomes of their states, to go back to,
    in the run's folder under policies; None: none."""
    trial: bool = False
    """Only to see it work: it ends with a line that says so, and shows no figures, for those of so
    few steps and requests prove nothing."""
    tracker: TrackerConfig = field(default_factory=TrackerConfig)

    def __post_init__(self) -> None:
        for name in ("trajectories_every", "checkpoint_every", "keep_checkpoints", "keep_every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}; wants 1 or more")
        if self.threads < 0:
            raise ValueError(f"threads is {self.threads}; wants 1 or more, or 0 for torch's own")
