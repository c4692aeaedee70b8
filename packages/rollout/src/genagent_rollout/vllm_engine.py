"""Turns sampled by vLLM servers: token in, token out.

Every turn sends the whole conversation as tokens, so any server can go on with it; what one has
computed before it finds in its prefix cache. The conversations of a server that dies go on
elsewhere, or wait for it. One that was started again gets the weights that were published last; one
with other weights is left out and named.
"""

import logging
from collections import Counter
from collections.abc import Iterable
from functools import partial

from genagent_endpoints import EndpointError, Endpoints, Rejected, Session
from genagent_policy import ChatFormat
from genagent_rollout.config import SamplingConfig
from genagent_rollout.publication import Publication
from genagent_rollout.record import TokenRecord
from genagent_rollout.vllm_config import VllmConfig
from genagent_rollout.vllm_conversation import VllmConversation
from genagent_rollout.vllm_returns import MAX_RETURNS, Returns
from genagent_rollout.vllm_server import VllmServer
from genagent_rollout.vllm_turn import ServedTurn, TurnQuestion, VllmCounts
from genagent_rollout.vllm_wire import PATH, Choice, Prompt, request_body

logger = logging.getLogger("genagent_rollout")


class EngineError(RuntimeError):
    """A turn, or new weights, that no server has; the message says which one answered what."""


class VllmEngine:
    """Conversations with a policy that vLLM servers hold. ``close`` it when it is done with."""

    def __init__(
        self,
        chat: ChatFormat,
        sampling: SamplingConfig,
        config: VllmConfig,
        publication: Publication | None = None,
        *,
        vocabulary: int = 1 << 31,
    ) -> None:
        """
        Args:
            chat: of the policy that is trained; the servers must see pictures as it does.
            publication: how new weights reach the servers; None: they keep those they were started
                with.
            vocabulary: of the policy's model; other ids are no tokens.

        Raises:
            ValueError: the environment variable of the key is not set.
        """
        self.chat = chat
        self.sampling = sampling
        self.config = config
        self.counts = VllmCounts()
        self.left_out: dict[str, str] = {}
        """Servers that are not asked until new weights are published, and why."""
        self.version: str | None = None
        """Of the weights that turns are sampled with; None until some are published."""
        self._vocabulary = vocabulary
        self._publication = publication
        self._returns = None if publication is None else Returns(publication)
        self._coming: str | None = None
        self._former: list[str] = []
        self._asking: Counter[str | None] = Counter()
        """By version: turns in flight."""
        self._control = self._turns = Endpoints(config.endpoints(config.urls))
        self._servers = [
            VllmServer(self._control, url.rstrip("/"), seconds=config.publish_seconds)
            for url in config.urls
        ]

    def open(self, prompt: str, *, seed: int, first_seed: int | None = None) -> VllmConversation:
        """A conversation; its tokens follow from prompt, pictures and seeds, up to float noise.

        Args:
            first_seed: of the first turn in the place of ``seed``, for conversations that share it.
        """
        record = TokenRecord(prompt, self.chat, self.sampling)
        return VllmConversation(self, record, seed, first_seed)

    async def publish(self, version: int) -> None:
        """Let the servers sample with the weights as they are now. Turns in flight end with the
        weights they began with; conversations go on.

        Args:
            version: unlike any that the servers have had, in this run or another.

        Raises:
            ValueError: the engine was made without a way to publish, or the weights cannot be
                published like this.
            OSError: they cannot be written.
            EngineError: no server has taken them.
        """
        if self._publication is None:
            raise ValueError(
                "publication is None, so no weights can be published; name a folder that the "
                "servers see"
            )
        self._coming = str(version)
        self.left_out = await self._publication.publish(self._coming, self._servers)
        if len(self.left_out) == len(self._servers):
            said = "; ".join(self.left_out.values())
            raise EngineError(f"no server has taken the new weights: {said}")
        if self.version is not None and self.version != self._coming:
            self._former.append(self.version)
        self.version, self._coming = self._coming, None
        self._turns = self._fresh_endpoints()
        await self._retire()

    def follow(self, version: int, left_out: dict[str, str]) -> None:
        """Sample with what another process has published to the same servers. It is that process
        that gives it to servers which were started again.

        Args:
            version: of it.
            left_out: servers that have not taken it, and why.
        """
        self.version, self.left_out, self._returns = str(version), dict(left_out), None
        self._turns = self._fresh_endpoints()

    async def sample(
        self, prompt: Prompt, *, max_tokens: int, seed: int, session: Session
    ) -> ServedTurn:
        """One turn, by preference of the server that had the one before.

        Raises:
            EngineError: no server gives it.
        """
        returns = 0
        while True:
            asked = self._turns
            try:
                return await self._sample(prompt, max_tokens, seed, session)
            except EndpointError as error:
                returns += 1
                is_over = not isinstance(error, Rejected) or returns > MAX_RETURNS
                if is_over or not await self._take_back(self._servers, asked):
                    raise EngineError(f"no server gives a turn: {error}") from error

    async def _sample(
        self, prompt: Prompt, max_tokens: int, seed: int, session: Session
    ) -> ServedTurn:
        """Raises EndpointError."""
        version, model = self.version, None
        if version is not None and self._publication is not None:
            model = self._publication.model(version)
        compose = partial(
            request_body,
            prompt,
            self.sampling,
            max_tokens=max_tokens,
            seed=seed,
            stop_ids=(self.chat.turn_end_id, *self.sampling.stop_tokens),
            salt=version or "started",
            model=model,
        )
        question = TurnQuestion(
            prompt,
            compose,
            max_tokens=max_tokens,
            vocabulary=self._vocabulary,
            model=model,
            version=version,
            # In the midst of a publication some servers have the new weights already.
            is_current=lambda found: version is None or found in (version, *self._newest()),
        )
        self._asking[version] += 1
        try:
            sampled = await self._turns.ask(PATH, question, session=session)
        finally:
            self._asking[version] -= 1
            self._leave_out(question.stale)
        self._count(sampled.choice)
        await self._take_back(each for each in self._servers if each.url in question.stale)
        return sampled

    def close(self) -> None:
        """Hang up."""
        self._turns.close()
        self._control.close()

    def _newest(self) -> tuple[str, ...]:
        return tuple(each for each in (self.version, self._coming) if each is not None)

    async def _retire(self) -> None:
        """Give up former versions that no turn in flight asks for."""
        over = [version for version in self._former if not self._asking[version]]
        for version in over:
            self._former.remove(version)
        for version in over:
            assert self._publication is not None
            usable = [server for server in self._servers if server.url not in self.left_out]
            await self._publication.retire(version, usable)

    def _leave_out(self, stale: dict[str, str]) -> None:
        found = {
            server.url: f"{server.url}: samples with weights of version {stale[server.url]!r}, not "
            f"{self.version!r}; was it started again?"
            for server in self._servers
            if server.url in stale and server.url not in self.left_out
        }
        # The last ones stay, to be named by whoever asks them next.
        if found and len(self.left_out) + len(found) < len(self._servers):
            self.left_out |= found
            self._turns = self._fresh_endpoints()

    async def _take_back(
        self, servers: Iterable[VllmServer], asked: Endpoints | None = None
    ) -> bool:
        """Whether one of these samples with the newest weights, which it gets if it was started
        again. Not in the midst of a publication, which reaches it anyway.

        Args:
            asked: by which nobody gave a turn; they are of no use any more.
        """
        if self._returns is None or self.version is None or self._coming is not None:
            return False
        back: list[str] = []
        for url, trouble in (await self._returns.of(self.version, servers)).items():
            if trouble is None:
                back.append(url)
            elif trouble and url in self.left_out:
                self.left_out[url] = trouble
        were_out = [url for url in back if self.left_out.pop(url, None) is not None]
        if were_out or (back and self._turns is asked):
            self._turns = self._fresh_endpoints()
            logger.warning("vLLM servers that were started again sample again: %s", back)
        return bool(back)

    def _fresh_endpoints(self) -> Endpoints:
        """The former ones answer the turns they have, and end when nobody waits for them."""
        usable = [server.url for server in self._servers if server.url not in self.left_out]
        return Endpoints(self.config.endpoints(tuple(usable)))

    def _count(self, choice: Choice) -> None:
        self.counts.turns += 1
        self.counts.sampled_tokens += len(choice.token_ids)
        self.counts.stale_tokens += sum(
            span.end - span.start
            for span in choice.weight_versions or []
            if self.version is not None and span.version != self.version
        )
