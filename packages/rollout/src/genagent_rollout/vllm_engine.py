"""Turns sampled by vLLM servers: token in, token out.

Every turn sends the whole conversation as tokens, so any server can go on with it; what one has
computed before it finds in its prefix cache. A server that dies, or samples with weights of
another version than the last that were published, is left out and named, and its conversations go
on elsewhere.
"""

import asyncio
import shutil
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from uuid import uuid4

from genagent_data import derive_seed
from genagent_endpoints import EndpointError, Endpoints, Session, Trouble
from genagent_policy import ChatFormat, Policy, TokenTrajectory
from genagent_rewards import Picture
from genagent_rollout.config import SamplingConfig
from genagent_rollout.conversation import SampledTurn
from genagent_rollout.record import TokenRecord
from genagent_rollout.vllm_config import VllmConfig
from genagent_rollout.vllm_turn import SampledTokens, TurnQuestion
from genagent_rollout.vllm_weights import load_weights
from genagent_rollout.vllm_wire import PATH, Choice, Prompt, VersionSpan, request_body


class EngineError(RuntimeError):
    """A turn, or new weights, that no server has; the message says which one answered what."""


@dataclass(kw_only=True, slots=True)
class VllmCounts:
    """What an engine has done so far."""

    turns: int = 0
    sampled_tokens: int = 0
    stale_tokens: int = 0
    """Of them sampled with weights that were no longer the newest when their turn was over."""


class VllmEngine:
    """Conversations with a policy that vLLM servers hold. ``close`` it when it is done with."""

    def __init__(self, chat: ChatFormat, sampling: SamplingConfig, config: VllmConfig) -> None:
        """
        Args:
            chat: of the policy that is trained; the servers must see pictures as it does.

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
        self._coming: str | None = None
        self._folder: Path | None = None
        self._control = self._turns = Endpoints(config.endpoints(config.urls))

    def open(self, prompt: str, *, seed: int) -> "VllmConversation":
        """A conversation; its tokens follow from prompt, pictures and seed, up to float noise."""
        return VllmConversation(self, TokenRecord(prompt, self.chat, self.sampling), seed)

    async def publish(self, policy: Policy, version: int) -> None:
        """Let the servers sample with the policy as it is now. Turns in flight end with the
        weights they began with; conversations go on.

        Raises:
            ValueError: the configuration names no folder for weights.
            OSError: they cannot be written.
            EngineError: no server has taken them.
        """
        if self.config.weights is None:
            raise ValueError(
                "weights is None, so none can be published; name a folder that the servers see"
            )
        folder = self.config.weights.absolute() / f"policy-{version}"
        await asyncio.to_thread(policy.save, folder)
        self._coming = str(version)
        reasons = await asyncio.gather(
            *(self._publish_to(url, folder, str(version)) for url in self.config.urls)
        )
        outcomes = zip(self.config.urls, reasons, strict=True)
        self.left_out = {url: reason for url, reason in outcomes if reason is not None}
        if len(self.left_out) == len(self.config.urls):
            said = "; ".join(self.left_out.values())
            raise EngineError(f"no server has taken the new weights: {said}")
        self.version, self._coming = self._coming, None
        self._turns = self._fresh_endpoints()
        former, self._folder = self._folder, folder
        if former is not None and former != folder:
            await asyncio.to_thread(shutil.rmtree, former)

    async def sample(
        self, prompt: Prompt, *, max_tokens: int, seed: int, session: Session
    ) -> SampledTokens:
        """One turn, by preference of the server that had the one before.

        Raises:
            EngineError: no server gives it.
        """
        version = self.version
        compose = partial(
            request_body,
            prompt,
            self.sampling,
            max_tokens=max_tokens,
            seed=seed,
            stop_ids=(self.chat.turn_end_id, *self.sampling.stop_tokens),
            salt=version or "started",
        )
        question = TurnQuestion(
            prompt,
            compose,
            # In the midst of a publication some servers have the new weights already.
            is_current=lambda found: version is None or found in (version, *self._newest()),
        )
        try:
            sampled = await self._turns.ask(PATH, question, session=session)
        except EndpointError as error:
            raise EngineError(f"no server gives a turn: {error}") from error
        finally:
            self._leave_out(question.stale)
        self._count(sampled.choice)
        return sampled

    def close(self) -> None:
        """Hang up."""
        self._turns.close()
        self._control.close()

    def _newest(self) -> tuple[str, ...]:
        return tuple(each for each in (self.version, self._coming) if each is not None)

    async def _publish_to(self, url: str, folder: Path, version: str) -> str | None:
        """Why the server at ``url`` has not taken new weights; None where it has."""
        url, seconds = url.rstrip("/"), self.config.publish_seconds
        try:
            await load_weights(self._control, url, folder, version=version, seconds=seconds)
        except (Trouble, EndpointError) as error:
            return str(error)
        return None

    def _leave_out(self, stale: dict[str, str]) -> None:
        found = {
            url: f"{url}: samples with weights of version {stale[url.rstrip('/')]!r}, not "
            f"{self.version!r}; was it started again?"
            for url in self.config.urls
            if url.rstrip("/") in stale and url not in self.left_out
        }
        # The last ones stay, to be named by whoever asks them next.
        if found and len(self.left_out) + len(found) < len(self.config.urls):
            self.left_out |= found
            self._turns = self._fresh_endpoints()

    def _fresh_endpoints(self) -> Endpoints:
        """The former ones answer the turns they have, and end when nobody waits for them."""
        urls = tuple(url for url in self.config.urls if url not in self.left_out)
        return Endpoints(self.config.endpoints(urls))

    def _count(self, choice: Choice) -> None:
        self.counts.turns += 1
        self.counts.sampled_tokens += len(choice.token_ids)
        self.counts.stale_tokens += sum(
            span.end - span.start
            for span in choice.weight_versions or []
            if self.version is not None and span.version != self.version
        )


class VllmConversation:
    """One conversation, whose tokens are kept here."""

    def __init__(self, engine: VllmEngine, record: TokenRecord, seed: int) -> None:
        self.weight_versions: list[VersionSpan] = []
        """Of the sampled tokens, by their places in the trajectory; none where the servers do not
        say."""
        self._engine = engine
        self._record = record
        self._seed = seed
        self._turns = 0
        self._session = Session(id=uuid4().hex)
        self._pictures: list[Picture] = []

    async def turn(self) -> SampledTurn:
        """Sample the agent's next turn.

        Raises:
            EngineError: no server gives it.
            ValueError: the agent has written a picture token.
        """
        prompt = Prompt.of(self._record, self._pictures)
        seed = derive_seed(self._seed, "turn", self._turns)
        start = len(self._record.ids)
        sampled = await self._engine.sample(
            prompt, max_tokens=self._record.begin_turn(), seed=seed, session=self._session
        )
        self._session = replace(self._session, home=sampled.url)
        choice = sampled.choice
        for item in choice.logprobs.content:
            self._record.sampled(item.token_id, item.logprob)
        self.weight_versions.extend(
            VersionSpan(version=each.version, start=start + each.start, end=start + each.end)
            for each in choice.weight_versions or []
        )
        self._turns += 1
        return self._record.turn()

    def observe(self, picture: Picture) -> None:
        """Show a picture, as the answer to the turn that has just ended.

        Raises:
            ValueError: no turn has ended.
        """
        if not self._record.policy[-1] or not self._record.ends_turn(self._record.ids[-1]):
            raise ValueError("no turn has ended; a picture answers one that has")
        pixels, grids = self._record.chat.encode_pictures([picture.image])
        self._record.observe(pixels[0], grids[0])
        self._pictures.append(picture)

    def tokens(self) -> TokenTrajectory:
        """Everything said so far, exactly as it was sampled."""
        return self._record.tokens()

    def close(self) -> None:
        """Give up its pictures; tokens stay readable."""
        self._pictures = []
