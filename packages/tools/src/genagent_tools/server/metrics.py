"""What the server tells Prometheus."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class RequestMetrics:
    """One server's figures, in a registry of their own: what every maker of pictures has."""

    def __init__(self, prefix: str) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            f"{prefix}_requests",
            "Requests for pictures, by HTTP status; 499 are those whose client went away.",
            ["status"],
            registry=self.registry,
        )
        self.pictures = Counter(
            f"{prefix}_pictures", "Pictures.", ["outcome"], registry=self.registry
        )
        for outcome in ("drawn", "failed"):
            self.pictures.labels(outcome=outcome)
        self.queue_depth = Gauge(
            f"{prefix}_queue_depth", "Pictures waiting.", registry=self.registry
        )

    def watch_queue(self, depth: Callable[[], int]) -> None:
        """Read the queue's depth when asked for it."""
        self.queue_depth.set_function(depth)

    def render(self) -> bytes:
        """All figures in the text format."""
        return generate_latest(self.registry)


class ServerMetrics(RequestMetrics):
    """And what pipelines have besides."""

    def __init__(self) -> None:
        super().__init__("genagent_tools")
        self.batch_size = Histogram(
            "genagent_tools_batch_size",
            "Pictures drawn at once.",
            buckets=BATCHES,
            registry=self.registry,
        )
        self.queue_seconds = Histogram(
            "genagent_tools_queue_seconds",
            "Seconds a picture waited for the pipeline.",
            buckets=SECONDS,
            registry=self.registry,
        )
        self.pipeline_seconds = Histogram(
            "genagent_tools_pipeline_seconds",
            "Seconds the pipeline took for a batch.",
            buckets=SECONDS,
            registry=self.registry,
        )
