"""One conversation inside the engine: its tokens, its pages, where it stands.

All state of a conversation lives here and none in a place in a batch, so a step may take any
conversations together.
"""

from asyncio import Future
from dataclasses import dataclass, field

from torch import Tensor

from genagent_rewards import Picture
from genagent_rollout.conversation import SampledTurn
from genagent_rollout.record import TokenRecord


@dataclass(kw_only=True, slots=True, eq=False)
class Sequence:
    """A conversation in progress."""

    number: int
    """In the order of opening: the higher, the younger."""
    seed: int
    first_seed: int | None = None
    """Of the first turn; None: as of the others."""
    prompt: tuple[int, ...]
    record: TokenRecord
    turn: "Future[SampledTurn] | None" = None
    """What ``Conversation.turn`` waits for; None between turns."""
    turn_limit: int = 0
    shown: Picture | None = None
    """A picture that is not among the tokens yet."""
    features: list[Tensor] = field(default_factory=list)
    """Of the pictures, in order, with all their levels; kept for the case that the
    conversation is put aside."""
    pages: list[int] = field(default_factory=list)
    cached: int = 0
    """Tokens whose keys and values lie in the pages."""
    cached_pictures: int = 0
    position: int = 0
    """M-RoPE position of the first token that is not cached."""
    state: Tensor | None = None
    """Hidden state ``[hidden]`` behind the last token, where all are cached."""
    started: bool = False
    """It has had pages before."""

    @property
    def uncached(self) -> int:
        return len(self.record.ids) - self.cached

    @property
    def turn_seed(self) -> int:
        """Of the turn that is sampled now."""
        is_first = self.record.turn_start == self.record.prompt_tokens
        return self.first_seed if is_first and self.first_seed is not None else self.seed

    @property
    def turn_tokens(self) -> int:
        """Tokens of the turn so far."""
        return len(self.record.ids) - self.record.turn_start

    def forget(self) -> list[int]:
        """Nothing is cached any more; returns the pages it held."""
        pages, self.pages = self.pages, []
        self.cached = self.cached_pictures = self.position = 0
        self.state = None
        return pages


@dataclass(kw_only=True, slots=True, eq=False)
class Prefix:
    """A prompt of several conversations, computed once."""

    ids: tuple[int, ...]
    number: int
    """Of the oldest conversation with it."""
    pages: list[int] = field(default_factory=list)
    position: int = 0
    state: Tensor | None = None
