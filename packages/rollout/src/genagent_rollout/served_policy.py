"""A policy in training, sampled by vLLM servers that follow it."""

import asyncio
import logging
import time

from genagent_policy import Policy
from genagent_rollout.config import SamplingConfig
from genagent_rollout.vllm_config import VllmConfig
from genagent_rollout.vllm_engine import VllmConversation, VllmEngine

logger = logging.getLogger("genagent_rollout")


class ServedPolicy:
    """An ``Engine``: conversations with a ``VllmEngine`` whose servers get this policy's weights.

    Raises:
        EngineError: no server has taken them.
    """

    def __init__(self, policy: Policy, sampling: SamplingConfig, config: VllmConfig) -> None:
        self.engine = VllmEngine(policy.chat, sampling, config)
        self._policy = policy
        # No two runs give the same name to different weights, whatever a server had before.
        self._version = time.time_ns() // 1_000_000
        self.publish()

    def open(self, prompt: str, *, seed: int) -> VllmConversation:
        return self.engine.open(prompt, seed=seed)

    def publish(self) -> None:
        """The servers get the weights as they are now; one that does not take them is named, and
        not asked before the next ones.

        Raises:
            EngineError: no server has taken them.
        """
        self._version += 1
        asyncio.run(self.engine.publish(self._policy, self._version))
        for reason in self.engine.left_out.values():
            logger.warning("a vLLM server is left out: %s", reason)
