"""A strategy's trajectory in the making."""

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field, replace

from genagent_data import Ending, Picture, Request, Round, Trajectory
from genagent_data.synthesis import Failure
from genagent_rollout.drawing import Drawing
from genagent_rollout.drawn_round import draw_round
from genagent_rollout.strategies.strategy import Answered
from genagent_worlds import Said
from genagent_worlds.frozen_models import Meant


@dataclass(kw_only=True, slots=True)
class Attempt:
    """Draws and asks; what fails ends it, and whoever goes on is told by a None."""

    request: Request
    drawing: Drawing
    seed: int
    rounds: list[Round] = field(default_factory=list)
    turns: list[str] = field(default_factory=list)
    _fallbacks: int = 0
    _broken: tuple[Ending, str] | None = None
    _began: float = field(default_factory=time.perf_counter)

    async def draw(self, prompt: str, *, thinking: str | None = None) -> Picture | None:
        """The next picture; None where the tool failed. Raises OSError where it cannot be
        stored."""
        await self.draw_several(prompt, 1, thinking=thinking)
        return self.rounds[-1].picture

    async def draw_several(self, prompt: str, n: int, *, thinking: str | None = None) -> None:
        """The next ``n`` pictures of one prompt, all asked for at once; those that the tool does
        draw stay. Raises OSError where one cannot be stored."""
        places = range(len(self.rounds), len(self.rounds) + n)
        several = await asyncio.gather(
            *(
                draw_round(self.drawing, prompt, seed=self.seed, place=place, thinking=thinking)
                for place in places
            )
        )
        for drawn in several:
            self.rounds.append(drawn.round)
            if drawn.error is not None:
                self._broken = "tool_failure", drawn.error

    async def hear(self, who: str, words: Awaitable[Said[Meant]]) -> Meant | None:
        """What a model means by its words; None where they cannot be used.

        Args:
            who: the model's part, for the name of the error: ``writer_prose``, ``writer_refusal``,
                ``writer_cut_off``. One that says nothing at all is a service that fails.
        """
        with self.drawing.activity.turn():
            said = await words
        if said.words:
            self.turns.append(said.words)
        self._fallbacks += said.fallback
        if not isinstance(said.meant, Failure):
            return said.meant
        if said.meant.why == "silent":
            self._broken = "model_failure", f"{who}: {said.meant.detail}"
        else:
            self._broken = "format_error", f"{who}_{said.meant.why}"
        return None

    def judge(self, words: str) -> None:
        """What is said of the latest picture."""
        self.rounds[-1] = replace(self.rounds[-1], judgement=words)

    def answered(
        self, ending: Ending = "fixed", *, answer: str | None = None, error: str | None = None
    ) -> Answered:
        """All of it; what broke it off comes before the ending."""
        if self._broken is not None:
            (ending, error), answer = self._broken, None
        trajectory = Trajectory(
            request=self.request,
            rounds=tuple(self.rounds),
            answer=answer,
            ending=ending,
            error=error,
        )
        return Answered(
            trajectory=trajectory,
            turns=tuple(self.turns),
            seed=self.seed,
            seconds=time.perf_counter() - self._began,
            fallbacks=self._fallbacks,
        )
