"""The engine in this process where ZeRO 3 has shared out the policy's weights among the ranks.

Ranks sample at their own pace, so none can ask the others for a layer in the middle of a turn: each
has a whole copy to sample with, 16.6 GB of a 7B in bfloat16, which is filled in after each update.
"""

from genagent_policy import Policy
from genagent_policy.shared_weights import copy_weights
from genagent_rollout.config import SamplingConfig
from genagent_rollout.engine_config import EngineConfig
from genagent_rollout.local_engine import LocalConversation, LocalEngine


class GatheringEngine:
    """An ``Engine``; ``publish`` is for all ranks together."""

    def __init__(self, policy: Policy, sampling: SamplingConfig, config: EngineConfig) -> None:
        self._policy = policy
        self._copy = policy.whole_copy()
        copy_weights(policy.model, self._copy.model)
        self.local = LocalEngine(self._copy, sampling, config)

    def open(self, prompt: str, *, seed: int, first_seed: int | None = None) -> LocalConversation:
        return self.local.open(prompt, seed=seed, first_seed=first_seed)

    def publish(self) -> None:
        copy_weights(self._policy.model, self._copy.model)
        self.local.publish()
