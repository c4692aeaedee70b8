"""A policy in training, sampled by vLLM servers that follow it."""

import asyncio
import logging
import time
from functools import partial
from pathlib import Path

from genagent_policy import Policy
from genagent_rollout.adapter_publication import AdapterPublication
from genagent_rollout.broadcast_publication import BroadcastPublication
from genagent_rollout.collective import collective_of
from genagent_rollout.config import SamplingConfig
from genagent_rollout.folder_publication import FolderPublication
from genagent_rollout.publication import Publication
from genagent_rollout.vllm_config import VllmConfig
from genagent_rollout.vllm_engine import VllmConversation, VllmEngine

logger = logging.getLogger("genagent_rollout")


class ServedPolicy:
    """An ``Engine``: conversations with a ``VllmEngine`` whose servers follow this policy."""

    def __init__(
        self, policy: Policy, sampling: SamplingConfig, config: VllmConfig, weights: Path
    ) -> None:
        """
        Args:
            weights: folder for what is published, which the servers see under the same path.

        Raises:
            ValueError: the policy's weights cannot be published like this.
            EngineError: no server has taken them.
        """
        publication = _publication(policy, config, weights)
        self.engine = VllmEngine(policy.chat, sampling, config, publication)
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
        asyncio.run(self.engine.publish(self._version))
        for reason in self.engine.left_out.values():
            logger.warning("a vLLM server is left out: %s", reason)


def _publication(policy: Policy, config: VllmConfig, weights: Path) -> Publication:
    if config.publish == "broadcast":
        return BroadcastPublication(
            policy.named_weights,
            partial(
                collective_of, policy.device, url=config.urls[0], seconds=config.publish_seconds
            ),
        )
    if config.publish == "folder":
        return FolderPublication(policy.save, weights)
    if policy.adapter is None:
        raise ValueError(
            "publish is 'lora', and this policy trains all of its weights, no adapter; publish "
            "'folder', or give --lora-rank"
        )
    return AdapterPublication(policy.adapter.save, weights)
