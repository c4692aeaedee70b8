"""One trajectory as one coroutine: think, call the tool, look, judge, reflect, round after round.

Section 3.1 of the method (GenAgent, 2601.18543). Hundreds of them run at once; each waits for its
own turns and its own pictures only.
"""

from dataclasses import dataclass, field, replace
from typing import Protocol

from genagent_data import (
    Ending,
    Picture,
    Request,
    Round,
    ToolSyntax,
    Trajectory,
    Turn,
    parse_turn,
)
from genagent_policy import TokenTrajectory
from genagent_rollout.activity import Activity
from genagent_rollout.conversation import Engine, SampledTurn
from genagent_rollout.drawing import Drawing
from genagent_rollout.drawn_round import draw_round


@dataclass(frozen=True, kw_only=True, slots=True)
class Rollout:
    """One attempt at one request, as messages and as tokens."""

    trajectory: Trajectory
    tokens: TokenTrajectory
    turns: tuple[str, ...]
    """The agent's words of each turn, to the letter, broken ones included."""
    seed: int
    tool_syntax: ToolSyntax = "hermes"
    """In which they call the tool."""
    is_here: bool = True
    """Whether this process has acted; another's comes without its pictures' pixels."""
    first_seed: int | None = None
    """Of the first turn and its picture, where others share them."""


class Watcher(Protocol):
    """Hears of one trajectory as it happens, on the thread that acts; it must not block."""

    def spoke(self, turn: Turn) -> None:
        """The agent has said this; its picture is not drawn yet."""
        ...

    def drew(self, round: Round) -> None:
        """A picture is there, or the tool has failed."""
        ...


async def act(
    engine: Engine,
    tool: Drawing,
    request: Request,
    *,
    seed: int,
    max_rounds: int,
    first_seed: int | None = None,
    activity: Activity | None = None,
    watcher: Watcher | None = None,
) -> Rollout:
    """Let the agent answer a request once.

    Args:
        seed: tokens and pictures follow from it alone, up to float noise from batch composition.
        max_rounds: pictures allowed; the agent still judges the last one.
        first_seed: of the first turn and its picture in the place of ``seed``.
        activity: what many trajectories at once wait for; the tool's own by default.
        watcher: told of each turn and each picture.

    Raises:
        ValueError: the engine has no room for such a conversation.
        OSError: a picture cannot be stored.
    """
    activity = tool.activity if activity is None else activity
    attempt = _Attempt(request=request, seed=seed, first_seed=first_seed, max_rounds=max_rounds)
    conversation = engine.open(request.prompt, seed=seed, first_seed=first_seed)
    try:
        while attempt.ending is None:
            with activity.turn():
                sampled = await conversation.turn()
            turn = attempt.hear(sampled)
            if watcher is not None:
                watcher.spoke(turn)
            if attempt.ending is None:
                picture = await attempt.draw(turn, tool)
                if watcher is not None:
                    watcher.drew(attempt.rounds[-1])
                if picture is not None:
                    conversation.observe(picture)
        return attempt.rollout(conversation.tokens())
    finally:
        conversation.close()


@dataclass(kw_only=True, slots=True)
class _Attempt:
    """A trajectory in the making."""

    request: Request
    seed: int
    first_seed: int | None
    max_rounds: int
    rounds: list[Round] = field(default_factory=list)
    turns: list[str] = field(default_factory=list)
    ending: Ending | None = None
    answer: str | None = None
    error: str | None = None
    tool_syntax: ToolSyntax = "hermes"
    truncated: bool = False
    """A limit of length cut its last turn off, whatever else is wrong with it."""

    @property
    def pictures(self) -> int:
        return sum(round.picture is not None for round in self.rounds)

    def hear(self, sampled: SampledTurn) -> Turn:
        """Take in a turn; sets the ending where it does not call the tool."""
        turn = parse_turn(
            sampled.text,
            images_so_far=self.pictures,
            max_rounds=self.max_rounds,
            cut_off=sampled.cut_off,
            syntax=sampled.tool_syntax,
        )
        self.tool_syntax = sampled.tool_syntax
        self.truncated = sampled.cut_off
        self.turns.append(sampled.text)
        if self.rounds and turn.judgement is not None:
            self.rounds[-1] = replace(self.rounds[-1], judgement=turn.judgement)
        if turn.error is not None:
            self.ending, self.error = "format_error", turn.error
        elif turn.answer is not None:
            self.ending, self.answer = "answer", turn.answer
        elif self.pictures >= self.max_rounds:
            self.ending = "out_of_rounds"
        return turn

    async def draw(self, call: Turn, tool: Drawing) -> Picture | None:
        """The picture that a turn asks for; a tool that fails ends the trajectory."""
        assert call.tool_prompt is not None
        place = len(self.rounds)
        seed = self.seed if place or self.first_seed is None else self.first_seed
        drawn = await draw_round(
            tool, call.tool_prompt, seed=seed, place=place, thinking=call.thinking
        )
        self.rounds.append(drawn.round)
        if drawn.error is not None:
            self.ending, self.error = "tool_failure", drawn.error
        return drawn.round.picture

    def rollout(self, tokens: TokenTrajectory) -> Rollout:
        """All of it, when it has ended."""
        assert self.ending is not None
        trajectory = Trajectory(
            request=self.request,
            rounds=tuple(self.rounds),
            answer=self.answer,
            ending=self.ending,
            error=self.error,
        )
        return Rollout(
            trajectory=trajectory,
            tokens=replace(tokens, truncated=self.truncated),
            turns=tuple(self.turns),
            seed=self.seed,
            tool_syntax=self.tool_syntax,
            first_seed=self.first_seed,
        )
