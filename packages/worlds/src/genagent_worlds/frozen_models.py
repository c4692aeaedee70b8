"""The seams to models that are asked beside an agent, or in its place: nobody trains them.

They see what a user's request says and nothing more; hints and checklists are the judge's.
"""

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from genagent_data import Picture, Request
from genagent_data.synthesis import Call, Failure, Judgement

Meant = TypeVar("Meant", Call, Judgement)


@dataclass(frozen=True, kw_only=True, slots=True)
class Said(Generic[Meant]):
    """What a model said, to the letter, and what was read in it.

    Example: ``Said(words="<answer>two cats …</answer>", meant=Call(thinking="", prompt="two cats
    …"))``
    """

    words: str
    meant: Meant | Failure
    fallback: bool = False
    """There was nothing to be read, and the request's own words stand in, as the model's documented
    use has it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """A prompt, its picture, and what a model made of it."""

    prompt: str
    picture: Picture
    judgement: Judgement


class Rewrites(Protocol):
    """Writes a better prompt without looking at anything."""

    @property
    def name(self) -> str:
        """All that its words depend on but the question: model, prompts, temperature."""
        ...

    async def rewrite(self, request: Request, *, seed: int) -> Said[Call]:
        """A prompt for the request. Raises ValueError where no question can be answered, as when
        every endpoint turns us away."""
        ...


class Verifies(Protocol):
    """Says whether a picture satisfies a request."""

    @property
    def name(self) -> str:
        """See ``Rewrites``."""
        ...

    async def verify(
        self, request: Request, *, prompt: str, picture: Picture, seed: int
    ) -> Said[Judgement]:
        """A judgement on the picture, which was drawn from ``prompt``. Raises as ``rewrite``."""
        ...


class Reflects(Protocol):
    """Writes the next prompt from what came of the one before."""

    @property
    def name(self) -> str:
        """See ``Rewrites``."""
        ...

    async def reflect(self, request: Request, *, tried: tuple[Tried, ...], seed: int) -> Said[Call]:
        """The next prompt; ``tried`` holds all there were, the latest last. Raises as
        ``rewrite``."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class FrozenModels:
    """Who is asked for what; one model may do all of it."""

    rewriter: Rewrites
    verifier: Verifies
    writer: Reflects
