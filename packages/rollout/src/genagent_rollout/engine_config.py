"""Which engine conversations are held with, as options. Nothing here loads torch."""

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from genagent_policy import ALONE, PolicyConfig, Ranks
from genagent_rollout.config import SamplingConfig
from genagent_rollout.vllm_config import VllmConfig, Way

if TYPE_CHECKING:
    from genagent_policy import ChatFormat, Policy
    from genagent_rollout.conversation import Engine
    from genagent_rollout.served_policy import StartedPolicy


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineConfig:
    """The engine in this process, or vLLM servers that follow the policy in training."""

    urls: str = ""
    """vLLM servers, a comma between them: http://gpu1:8000,http://gpu2:8000. Empty: turns are
    sampled in this process, with the very weights that are trained."""
    publish: Way | None = "folder"
    """How new weights reach the servers: folder, all of them as a checkpoint; lora, the adapter
    that is trained, beside the base that is served; broadcast, all of them from GPU to GPU (NCCL),
    or between CPUs (gloo); None, they do not, and the servers were started with this very policy:
    for inference and evaluation."""
    weights: Path | None = None
    """Folder through which checkpoints or adapters reach the servers, which read it under the same
    path, one of the run's own in it; None: in the run's folder."""
    key_env: str | None = None
    """Environment variable with the servers' key."""
    turn_seconds: float = 300.0
    """That a server may take for a turn."""
    cache_gib: float | None = None
    """In this process: memory for keys and values, GiB; None: 2 on a CPU, a fifth of a GPU's. A
    token of the 7B policy takes 56 KiB in bfloat16, one of the miniature 2; a
    conversation that finds no room waits."""
    page_tokens: int | None = None
    """Tokens of a page; None: 64 on a GPU, 512 on a CPU, where a conversation in one page is read
    without copying."""
    chunk_tokens: int = 8192
    """Tokens of prompts and pictures computed in one pass, at most, unless one alone has more."""

    def __post_init__(self) -> None:
        if self.cache_gib is not None and not 0 < self.cache_gib < float("inf"):
            raise ValueError(f"cache_gib is {self.cache_gib}; wants a number above 0, or None")
        for name in ("page_tokens", "chunk_tokens"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}; wants 1 or more")
        if self.urls:
            self._servers()

    def problems(
        self, sampling: SamplingConfig, *, changing: str = "", ask_servers: bool = True
    ) -> list[str]:
        """What keeps turns from being sampled, a line each.

        Args:
            changing: why the weights will change; empty where they do not.
            ask_servers: whether they are there to be tried out.
        """
        if self.urls and changing and self.publish is None:
            return [f"publish is None, and {changing}; wants folder, lora or broadcast"]
        if not self.urls or not ask_servers:
            return []
        from genagent_rollout.vllm_check import vllm_problems

        return vllm_problems(self._servers(), sampling)

    def load(
        self,
        policy: PolicyConfig,
        shipped: Mapping[str, Path],
        sampling: SamplingConfig,
        run_folder: Path,
        *,
        words: int | None = None,
    ) -> "Engine":
        """The engine of a policy that does not change. Weights are loaded where somebody takes
        them: not where servers keep what they were started with, which are 16.6 GB of a 7B.

        Args:
            shipped: checkpoints by name.
            words: of a prompt that the tool reads, as for ``PolicyConfig.load``.

        Raises:
            ValueError: the checkpoint cannot be read, or as ``open``.
            EngineError: as ``open``.
        """
        if self._keep_theirs:
            chat = policy.load_chat(shipped, words=words)
            return self._started(chat, policy.vocabulary(shipped), sampling)
        return self.open(policy.load(shipped, words=words), sampling, run_folder)

    def open(
        self,
        policy: "Policy",
        sampling: SamplingConfig,
        run_folder: Path,
        ranks: Ranks = ALONE,
        *,
        ahead: bool = False,
    ) -> "Engine":
        """The engine, which samples with the policy as it is now. It is opened when the update is
        there, whose optimizer may lay the weights anew.

        Args:
            ranks: who samples together, each with an engine of its own.
            ahead: whether it samples while the policy learns; ``publish`` then says with what.

        Raises:
            ValueError: the cache holds not even one page, or the policy's weights cannot be
                published like this.
            EngineError: no server has taken the weights.
        """
        if not self.urls:
            from genagent_policy.shared_weights import is_shared_out
            from genagent_rollout.gathering_engine import GatheringEngine
            from genagent_rollout.local_engine import LocalEngine

            if is_shared_out(policy.model):
                return GatheringEngine(policy, sampling, self)
            if ahead:
                from genagent_rollout.copied_engine import CopiedEngine

                return CopiedEngine(policy, sampling, self)
            return LocalEngine(policy, sampling, self)
        if self._keep_theirs:
            vocabulary = policy.model.config.get_text_config().vocab_size
            return self._started(policy.chat, vocabulary, sampling)
        from genagent_rollout.served_policy import ServedPolicy

        weights = self._published(run_folder.resolve())
        if ranks.rank == 0:
            # What an ended process has left: no server is told of it again, and that of a 7B takes
            # 16.6 GB.
            for name in ("policy-*", ".policy-*", "adapter-*"):  # a dot: it was being written
                for left in weights.glob(name):
                    shutil.rmtree(left)
        return ServedPolicy(policy, sampling, self._servers(), weights, ranks)

    @property
    def _keep_theirs(self) -> bool:
        """Servers sample, with what they were started with."""
        return bool(self.urls) and self.publish is None

    def _started(
        self, chat: "ChatFormat", vocabulary: int, sampling: SamplingConfig
    ) -> "StartedPolicy":
        from genagent_rollout.served_policy import StartedPolicy

        return StartedPolicy(chat, vocabulary, sampling, self._servers())

    def _published(self, run_folder: Path) -> Path:
        """The folder of this run's weights alone; runs of one name may lie in several folders."""
        if self.weights is None:
            return run_folder / "weights"
        digest = hashlib.sha256(str(run_folder).encode()).hexdigest()
        return self.weights / f"{run_folder.name}-{digest[:8]}"

    def _servers(self) -> VllmConfig:
        return VllmConfig(
            urls=tuple(url.strip() for url in self.urls.split(",")),
            publish=self.publish,
            api_key_env=self.key_env,
            turn_seconds=self.turn_seconds,
            deadline_seconds=4 * self.turn_seconds,
        )
