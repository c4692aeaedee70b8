"""A policy sampled by vLLM servers, which follow it, or keep what they were started with."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from torch import Tensor

from genagent_policy import ALONE, ChatFormat, Policy, Ranks
from genagent_policy.shared_weights import is_shared_out
from genagent_rollout.adapter_publication import AdapterPublication
from genagent_rollout.broadcast_publication import BroadcastPublication
from genagent_rollout.collective import collective_of
from genagent_rollout.config import SamplingConfig
from genagent_rollout.folder_publication import FolderPublication
from genagent_rollout.publication import Publication
from genagent_rollout.vllm_config import VllmConfig
from genagent_rollout.vllm_conversation import VllmConversation
from genagent_rollout.vllm_engine import VllmEngine

logger = logging.getLogger("genagent_rollout")


class ServedPolicy:
    """An ``Engine``: conversations with a ``VllmEngine`` whose servers follow this policy."""

    def __init__(
        self,
        policy: Policy,
        sampling: SamplingConfig,
        config: VllmConfig,
        weights: Path,
        ranks: Ranks = ALONE,
    ) -> None:
        """
        Args:
            weights: folder for what is published, which the servers see under the same path.
            ranks: who samples together: the first of them publishes.

        Raises:
            ValueError: the policy's weights cannot be published like this.
            EngineError: no server has taken them.
        """
        self._policy = policy
        self._ranks = ranks
        self._whole: Iterator[tuple[str, Tensor]] = iter(())
        publication = _publication(policy, config, weights, lambda: self._whole)
        vocabulary = policy.model.config.get_text_config().vocab_size
        self.engine = VllmEngine(policy.chat, sampling, config, publication, vocabulary=vocabulary)
        # No two runs give the same name to different weights, whatever a server had before.
        self._version = ranks.first(lambda: time.time_ns() // 1_000_000)
        self.publish()

    def open(self, prompt: str, *, seed: int, first_seed: int | None = None) -> VllmConversation:
        return self.engine.open(prompt, seed=seed, first_seed=first_seed)

    def publish(self) -> None:
        """The servers get the weights as they are now; one that does not take them is named, and
        not asked before the next ones.

        Raises:
            EngineError: no server has taken them.
        """
        self._version += 1
        self._whole = self._policy.weights()
        if self._ranks.rank:
            self._take_part()
            self.engine.follow(self._version, self._ranks.first(dict))
            return
        self._ranks.first(self._publish)
        for reason in self.engine.left_out.values():
            logger.warning("a vLLM server is left out: %s", reason)

    def _publish(self) -> dict[str, str]:
        """What the others are told: which servers do without, and why."""
        try:
            asyncio.run(self.engine.publish(self._version))
        finally:
            self._take_part()
        return self.engine.left_out

    def _take_part(self) -> None:
        """Go through the weights, or what is left of them, with the other ranks; where they are not
        shared out, there is nothing to go through for."""
        if is_shared_out(self._policy.model):
            deque(self._whole, maxlen=0)


class StartedPolicy:
    """An ``Engine``: conversations with a ``VllmEngine`` whose servers keep the policy that they
    were started with. None of its weights is here."""

    def __init__(
        self, chat: ChatFormat, vocabulary: int, sampling: SamplingConfig, config: VllmConfig
    ) -> None:
        """
        Args:
            chat: of the servers' policy.
            vocabulary: of its model.
        """
        self.engine = VllmEngine(chat, sampling, config, vocabulary=vocabulary)

    def open(self, prompt: str, *, seed: int, first_seed: int | None = None) -> VllmConversation:
        return self.engine.open(prompt, seed=seed, first_seed=first_seed)

    def publish(self) -> None:
        """Raises ValueError: there are no weights to give."""
        raise ValueError(
            "publish is None: the servers keep the policy that they were started with, and its "
            "weights are not loaded here; wants folder, lora or broadcast"
        )


def _publication(
    policy: Policy,
    config: VllmConfig,
    weights: Path,
    whole: Callable[[], Iterator[tuple[str, Tensor]]],
) -> Publication:
    if config.publish == "broadcast":
        return BroadcastPublication(
            whole,
            partial(
                collective_of, policy.device, url=config.urls[0], seconds=config.publish_seconds
            ),
            shapes=policy.shapes,
        )
    if config.publish == "folder":
        return FolderPublication(lambda folder: policy.write(folder, whole()), weights)
    if policy.adapter is None:
        raise ValueError(
            "publish is 'lora', and this policy trains all of its weights, no adapter; publish "
            "'folder', or give --lora-rank"
        )
    return AdapterPublication(policy.adapter.save, weights)
