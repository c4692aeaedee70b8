"""The engine in this process with weights of its own: those that learn may change while it samples.

They take their memory again; see ``WeightCopy``.
"""

from pathlib import Path

from genagent_policy import Policy
from genagent_policy.weight_copy import WeightCopy
from genagent_rollout.config import SamplingConfig
from genagent_rollout.engine_config import EngineConfig
from genagent_rollout.local_engine import LocalConversation, LocalEngine

NAME = "sampler.pt"


class CopiedEngine:
    """An ``Engine``; ``publish`` takes over the weights that learn, when no turn is sampled."""

    def __init__(self, policy: Policy, sampling: SamplingConfig, config: EngineConfig) -> None:
        self._copy = WeightCopy(policy)
        self.local = LocalEngine(self._copy.policy, sampling, config)

    def open(self, prompt: str, *, seed: int, first_seed: int | None = None) -> LocalConversation:
        return self.local.open(prompt, seed=seed, first_seed=first_seed)

    def publish(self) -> None:
        self._copy.follow()
        self.local.publish()

    def save(self, folder: Path, updates: int) -> None:
        """Write the weights that it samples with. Raises OSError where they cannot be written.

        Args:
            updates: that they have seen.
        """
        self._copy.save(folder / NAME, updates)

    def restore(self, folder: Path) -> int | None:
        """Go on with the weights that ``save`` wrote; the updates that those had seen. None: it
        has written none there. Raises ValueError where they cannot be read."""
        if not (folder / NAME).exists():
            return None
        updates = self._copy.restore(folder / NAME)
        self.local.publish()
        return updates
