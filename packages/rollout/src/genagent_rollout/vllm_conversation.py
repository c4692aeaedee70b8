"""One conversation with vLLM servers, whose tokens are kept here."""

from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import uuid4

from genagent_data import derive_seed
from genagent_endpoints import Session
from genagent_policy import TokenTrajectory
from genagent_rewards import Picture
from genagent_rollout.conversation import SampledTurn
from genagent_rollout.record import TokenRecord
from genagent_rollout.vllm_wire import Prompt, VersionSpan

if TYPE_CHECKING:
    from genagent_rollout.vllm_engine import VllmEngine


class VllmConversation:
    """A ``Conversation``: any server can go on with it, since each turn sends all of it."""

    def __init__(
        self, engine: "VllmEngine", record: TokenRecord, seed: int, first_seed: int | None = None
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
