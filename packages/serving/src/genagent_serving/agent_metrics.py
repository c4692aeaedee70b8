"""What an agent's server tells Prometheus."""

from collections.abc import Callable
from typing import get_args

from prometheus_client import Counter, Gauge, Histogram

from genagent_data import Ending, Trajectory
from genagent_tools.server import RequestMetrics

SECONDS = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000)
ROUNDS = (0, 1, 2, 3, 4, 6, 8)


class AgentMetrics(RequestMetrics):
    """Beside requests and pictures: how trajectories end, and how long they are."""

    def __init__(self) -> None:
        super().__init__("genagent_agent")
        self.endings = Counter(
            "genagent_agent_trajectories",
            "Trajectories that have ended, by how.",
            ["ending"],
            registry=self.registry,
        )
        for ending in get_args(Ending):
            self.endings.labels(ending=ending)
        self.rounds = Histogram(
            "genagent_agent_rounds",
            "Rounds of a trajectory.",
            buckets=ROUNDS,
            registry=self.registry,
        )
        self.seconds = Histogram(
            "genagent_agent_seconds",
            "Seconds from a request to the end of its trajectory, the wait for its turn included.",
            buckets=SECONDS,
            registry=self.registry,
        )
        self.in_progress = Gauge(
            "genagent_agent_in_progress", "Trajectories in progress.", registry=self.registry
        )

    def watch_progress(self, count: Callable[[], int]) -> None:
        """Read how many are in progress when asked for it."""
        self.in_progress.set_function(count)

    def ended(self, trajectory: Trajectory, *, seconds: float) -> None:
        """Count a trajectory."""
        self.endings.labels(ending=trajectory.ending).inc()
        self.rounds.observe(len(trajectory.rounds))
        self.seconds.observe(seconds)
        self.pictures.labels(outcome="drawn" if trajectory.pictures else "failed").inc()

    def figures(self) -> dict[str, float]:
        """What was answered, for a run's summary."""
        endings = {
            f"ended/{ending}": self.registry.get_sample_value(
                "genagent_agent_trajectories_total", {"ending": ending}
            )
            or 0.0
            for ending in get_args(Ending)
        }
        answered = self.registry.get_sample_value(
            "genagent_agent_requests_total", {"status": "200"}
        )
        return {"answered": answered or 0.0, **endings}
