"""The scripted teacher in the place of a strong frozen model, for strategies that ask one.

It knows the grammar, so that it takes a request's meaning from its hints as a large model takes it
from the words, and it reads pictures without error. So what a strategy reaches with it here is what
the strategy could reach with a model that never misreads a picture.
"""

from dataclasses import replace

from genagent_data import Picture, Request, Turn, derive_seed, render_turn
from genagent_data.synthesis import Call, Failure, Judgement, PartialTrajectory
from genagent_miniworld.scripted import ScriptedTeacher
from genagent_worlds import FrozenModels, Said, Tried


class ScriptedModel:
    """A ``Rewrites``, ``Verifies`` and ``Reflects`` that costs nothing."""

    def __init__(self, teacher: ScriptedTeacher | None = None) -> None:
        self._teacher = ScriptedTeacher() if teacher is None else teacher

    @property
    def name(self) -> str:
        """See ``Rewrites``."""
        return self._teacher.name

    @property
    def models(self) -> FrozenModels:
        """Itself for everything."""
        return FrozenModels(rewriter=self, verifier=self, writer=self)

    async def rewrite(self, request: Request, *, seed: int) -> Said[Call]:
        """See ``Rewrites``. Raises ValueError for hints that are none of the miniature's."""
        [call] = self._of(seed).open([request])
        return _said(call)

    async def verify(
        self, request: Request, *, prompt: str, picture: Picture, seed: int
    ) -> Said[Judgement]:
        """See ``Verifies``; never wrong."""
        attempt = PartialTrajectory(
            request=request, calls=(Call(thinking="", prompt=prompt),), pictures=(picture,)
        )
        [judgement] = self._of(seed).judge([attempt])
        words = "" if isinstance(judgement, Failure) else judgement.words
        return Said(words=words, meant=judgement)

    async def reflect(self, request: Request, *, tried: tuple[Tried, ...], seed: int) -> Said[Call]:
        """See ``Reflects``."""
        attempt = PartialTrajectory(
            request=request,
            calls=tuple(Call(thinking="", prompt=one.prompt) for one in tried),
            pictures=tuple(one.picture for one in tried),
            judgements=tuple(one.judgement for one in tried),
        )
        [call] = self._of(seed).reflect([attempt])
        return _said(call)

    def _of(self, seed: int) -> ScriptedTeacher:
        """The teacher with another choice of words for each seed."""
        return replace(self._teacher, seed=derive_seed(self._teacher.seed, seed))


def _said(call: Call | Failure) -> Said[Call]:
    if isinstance(call, Failure):
        return Said(words="", meant=call)
    words = render_turn(Turn(thinking=call.thinking, tool_prompt=call.prompt))
    return Said(words=words, meant=call)
