"""Turns sampled by vLLM servers: token in, token out.

Every turn sends the whole conversation as tokens, so any server can go on with it; what one has
computed before it finds in its prefix cache. A server that dies, or samples with weights of
another version than the last that were published, is left out and named, and its conversations go
on elsewhere.
"""

from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from uuid import uuid4

from genagent_data import derive_seed
from genagent_endpoints import EndpointError, Endpoints, Session
from genagent_policy import ChatFormat, TokenTrajectory
from genagent_rewards import Picture
from genagent_rollout.config import SamplingConfig
from genagent_rollout.conversation import SampledTurn
from genagent_rollout.publication import Publication
from genagent_rollout.record import TokenRecord
from genagent_rollout.vllm_config import VllmConfig
from genagent_rollout.vllm_server import VllmServer
from genagent_rollout.vllm_turn import SampledTokens, TurnQuestion
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

    def __init__(
        self,
        chat: ChatFormat,
        sampling: SamplingConfig,
        config: VllmConfig,
        publication: Publication | None = None,
    ) -> None:
        """
        Args:
            chat: of the policy that is trained; the servers must see pictures as it does.
            publication: how new weights reach the servers; None: they keep those they were started
                with.

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
        self._publication = publication
        self._coming: str | None = None
        self._former: list[str] = []
        self._asking: Counter[str | None] = Counter()
        """By version: turns in flight."""
        self._control = self._turns = Endpoints(config.endpoints(config.urls))
        self._servers = [
            VllmServer(self._control, url.rstrip("/"), seconds=config.publish_seconds)
            for url in config.urls
        ]

    def open(self, prompt: str, *, seed: int, first_seed: int | None = None) -> "VllmConversation":
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
        """Sample with what another process has published to the same servers.

        Args:
            version: of it.
            left_out: servers that have not taken it, and why.
        """
        self.version, self.left_out = str(version), dict(left_out)
        self._turns = self._fresh_endpoints()

    async def sample(
        self, prompt: Prompt, *, max_tokens: int, seed: int, session: Session
    ) -> SampledTokens:
        """One turn, by preference of the server that had the one before.

        Raises:
            EngineError: no server gives it.
        """
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
            model=model,
            version=version,
            # In the midst of a publication some servers have the new weights already.
            is_current=lambda found: version is None or found in (version, *self._newest()),
        )
        self._asking[version] += 1
        try:
            sampled = await self._turns.ask(PATH, question, session=session)
        except EndpointError as error:
            raise EngineError(f"no server gives a turn: {error}") from error
        finally:
            self._asking[version] -= 1
            self._leave_out(question.stale)
        self._count(sampled.choice)
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


class VllmConversation:
    """One conversation, whose tokens are kept here."""

    def __init__(
        self, engine: VllmEngine, record: TokenRecord, seed: int, first_seed: int | None = None
    ) -> None:
        self.weight_versions: list[VersionSpan] = []
        """Of the sampled tokens, by their places in the trajectory; none where the servers do not
        say."""
        self._engine = engine
        self._record = record
        self._seed = seed
        self._first_seed = seed if first_seed is None else first_seed
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
        own = self._seed if self._turns else self._first_seed
        seed = derive_seed(own, "turn", self._turns)
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
