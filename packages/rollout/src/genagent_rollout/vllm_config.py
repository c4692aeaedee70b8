"""Which vLLM servers turns are sampled at, as options. Nothing here loads torch."""

from dataclasses import dataclass
from typing import Literal

from genagent_endpoints import EndpointsConfig

Way = Literal["folder", "lora", "broadcast"]
"""Of new weights to servers: all of them through a checkpoint folder, an adapter beside the base
that is served, or all of them from memory to memory."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VllmConfig:
    """vLLM servers of one policy, and how patiently they are asked.

    Example: ``VllmConfig(urls=("http://gpu1:8000", "http://gpu2:8000"), publish="folder")``
    """

    urls: tuple[str, ...]
    """Each started with ``--enable-scale-out`` and, for new weights, ``VLLM_SERVER_DEV_MODE=1``."""
    publish: Way | None = None
    """How new weights reach the servers; None: they keep those they were started with."""
    api_key_env: str | None = None
    """Environment variable that holds the servers' key."""
    max_concurrency: int = 256
    """Turns in flight, over all servers."""
    turn_seconds: float = 300.0
    """Of one attempt at a turn, queueing at the server included."""
    deadline_seconds: float = 1200.0
    """Of a turn with all its attempts and waits. A server that nobody listens at may come back
    within it: a turn that no server takes is no failed attempt."""
    publish_seconds: float = 600.0
    """That a server may take to load new weights."""

    def __post_init__(self) -> None:
        self.endpoints(self.urls)
        if not 0 < self.publish_seconds < float("inf"):
            raise ValueError(f"publish_seconds is {self.publish_seconds}; wants a number above 0")

    def endpoints(self, urls: tuple[str, ...]) -> EndpointsConfig:
        """How these of the servers are asked for turns."""
        return EndpointsConfig(
            base_urls=urls,
            api_key_env=self.api_key_env,
            max_concurrency=self.max_concurrency,
            timeout_seconds=self.turn_seconds,
            deadline_seconds=self.deadline_seconds,
            # A picture or a verdict may be missing; without a turn the run is over.
            waits_for_return=True,
            # A server that fails one turn may be asked for all the others meanwhile.
            quarantine_after=2,
        )
