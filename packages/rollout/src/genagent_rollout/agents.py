"""The agent loop: sample turns, read them, draw their pictures, show them, round after round.

All conversations of a batch move in lock-step, so that each round costs one batch of sampling and
one call of the tool. A tool that fails ends the trajectories concerned and nothing else.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from PIL import Image

from genagent_data import (
    Ending,
    Picture,
    PictureStore,
    Request,
    Round,
    Trajectory,
    Turn,
    derive_seed,
    parse_turn,
)
from genagent_policy import TokenTrajectory
from genagent_rollout.engine import RolloutEngine, SampledTurn
from genagent_tools import ImageTool, PartialFailure, ToolError


@dataclass(frozen=True, kw_only=True, slots=True)
class Rollout:
    """One attempt at one request, as messages and as tokens."""

    trajectory: Trajectory
    tokens: TokenTrajectory
    turns: tuple[str, ...]
    """The agent's words of each turn, to the letter, broken ones included."""
    seed: int


@dataclass(frozen=True, kw_only=True, slots=True)
class RolloutTimings:
    """Seconds spent."""

    policy: float = 0.0
    """Sampling turns and reading pictures."""
    tool: float = 0.0
    """Drawing pictures and storing them."""

    def __add__(self, other: "RolloutTimings") -> "RolloutTimings":
        return RolloutTimings(policy=self.policy + other.policy, tool=self.tool + other.tool)


@dataclass(frozen=True, kw_only=True, slots=True)
class RolloutBatch:
    """All rollouts, in the order of the requests, and where the time went."""

    rollouts: tuple[Rollout, ...]
    timings: RolloutTimings


def require_pictures(rollouts: Sequence[Rollout]) -> None:
    """Nothing where the tool drew at least one of the pictures it was asked for, or was not asked.

    Raises:
        ToolError: it drew none; says how many were asked for, and what it answered last.
    """
    rounds = [round for rollout in rollouts for round in rollout.trajectory.rounds]
    if rounds and all(round.picture is None for round in rounds):
        failed = [r.trajectory for r in rollouts if r.trajectory.ending == "tool_failure"]
        raise ToolError(
            f"the tool drew none of {len(rounds)} pictures; the last: {failed[-1].error}"
        )


@dataclass(kw_only=True, slots=True)
class _Attempt:
    """A trajectory in the making."""

    request: Request
    seed: int
    rounds: list[Round] = field(default_factory=list)
    turns: list[str] = field(default_factory=list)
    ending: Ending | None = None
    answer: str | None = None
    error: str | None = None

    @property
    def pictures(self) -> int:
        return sum(round.picture is not None for round in self.rounds)

    def hear(self, sampled: SampledTurn, max_rounds: int) -> Turn:
        """Take in a turn; sets the ending where it is the last one."""
        turn = parse_turn(
            sampled.text,
            images_so_far=self.pictures,
            max_rounds=max_rounds,
            cut_off=sampled.cut_off,
        )
        self.turns.append(sampled.text)
        if self.rounds and turn.judgement is not None:
            self.rounds[-1] = replace(self.rounds[-1], judgement=turn.judgement)
        if turn.error is not None:
            self.ending, self.error = "format_error", turn.error
        elif turn.answer is not None:
            self.ending, self.answer = "answer", turn.answer
        elif self.pictures >= max_rounds:
            self.ending = "out_of_rounds"
        return turn

    def trajectory(self) -> Trajectory:
        assert self.ending is not None
        return Trajectory(
            request=self.request,
            rounds=tuple(self.rounds),
            answer=self.answer,
            ending=self.ending,
            error=self.error,
        )


def run_agents(
    engine: RolloutEngine,
    tool: ImageTool,
    requests: Sequence[Request],
    *,
    seeds: Sequence[int],
    max_rounds: int,
    store: PictureStore,
) -> RolloutBatch:
    """Let the agent answer each request once.

    Args:
        requests: may hold the same one many times (a group); equal prompts side by side are
            prefilled once.
        seeds: one for each request. Tokens and pictures of a rollout follow from its seed alone,
            up to float noise from batch composition.
        max_rounds: pictures allowed; the agent still judges the last one.

    Raises:
        ValueError: not one seed for each request, or a limit below 1.
        OSError: a picture cannot be stored.
    """
    if len(seeds) != len(requests):
        raise ValueError(f"{len(requests)} requests and {len(seeds)} seeds; wants one for each")
    if max_rounds < 1:
        raise ValueError(f"max_rounds is {max_rounds}; wants 1 or more")
    size = engine.config.max_batch
    rollouts: list[Rollout] = []
    timings = RolloutTimings()
    for first in range(0, len(requests), size):
        attempts = [
            _Attempt(request=request, seed=seed)
            for request, seed in zip(
                requests[first : first + size], seeds[first : first + size], strict=True
            )
        ]
        batch = _run_batch(engine, tool, attempts, max_rounds, store)
        rollouts.extend(batch.rollouts)
        timings += batch.timings
    return RolloutBatch(rollouts=tuple(rollouts), timings=timings)


def _run_batch(
    engine: RolloutEngine,
    tool: ImageTool,
    attempts: Sequence[_Attempt],
    max_rounds: int,
    store: PictureStore,
) -> RolloutBatch:
    policy_seconds = tool_seconds = 0.0
    started = time.perf_counter()
    conversations = engine.start(
        [attempt.request.prompt for attempt in attempts], [attempt.seed for attempt in attempts]
    )
    while conversations.rows:
        turns = {
            row: attempts[row].hear(sampled, max_rounds)
            for row, sampled in conversations.sample().items()
        }
        drawing = time.perf_counter()
        pictures = _draw_round(tool, attempts, turns, store)
        drawn = time.perf_counter()
        conversations.keep(list(pictures))
        conversations.observe({row: picture.image for row, picture in pictures.items()})
        policy_seconds += drawing - started
        tool_seconds += drawn - drawing
        started = drawn
    rollouts = tuple(
        Rollout(
            trajectory=attempt.trajectory(),
            tokens=conversations.tokens(row),
            turns=tuple(attempt.turns),
            seed=attempt.seed,
        )
        for row, attempt in enumerate(attempts)
    )
    policy_seconds += time.perf_counter() - started
    return RolloutBatch(
        rollouts=rollouts, timings=RolloutTimings(policy=policy_seconds, tool=tool_seconds)
    )


def _draw_round(
    tool: ImageTool,
    attempts: Sequence[_Attempt],
    turns: dict[int, Turn],
    store: PictureStore,
) -> dict[int, Picture]:
    """Draw what the trajectories that go on have asked for; returns pictures by row."""
    calls = [
        (row, turn.tool_prompt, derive_seed(attempts[row].seed, "tool", len(attempts[row].rounds)))
        for row, turn in turns.items()
        if attempts[row].ending is None and turn.tool_prompt is not None
    ]
    if not calls:
        return {}
    started = time.perf_counter()
    drawn = _draw(tool, [prompt for _, prompt, _ in calls], [seed for _, _, seed in calls])
    share = (time.perf_counter() - started) / len(calls)
    stored = iter(store.put_all([one for one in drawn if not isinstance(one, ToolError)]))
    pictures: dict[int, Picture] = {}
    for (row, prompt, seed), result in zip(calls, drawn, strict=True):
        if isinstance(result, ToolError):
            attempts[row].ending, attempts[row].error = "tool_failure", str(result)
        else:
            pictures[row] = next(stored)
        attempts[row].rounds.append(
            Round(
                thinking=turns[row].thinking,
                tool_prompt=prompt,
                picture=pictures.get(row),
                seed=seed,
                tool_seconds=share,
            )
        )
    return pictures


def _draw(
    tool: ImageTool, prompts: Sequence[str], seeds: Sequence[int]
) -> list[Image.Image | ToolError]:
    """A picture or a failure for each prompt; a batch that fails as a whole is tried again one by
    one."""
    try:
        return list(_generate(tool, prompts, seeds))
    except PartialFailure as error:
        return list(error.results)
    except ToolError as error:
        if len(prompts) == 1:
            return [error]
    return [
        result
        for prompt, seed in zip(prompts, seeds, strict=True)
        for result in _draw(tool, [prompt], [seed])
    ]


def _generate(tool: ImageTool, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
    pictures = tool.generate(prompts, seeds)
    if len(pictures) != len(prompts):
        raise ToolError(f"the tool gave {len(pictures)} pictures for {len(prompts)} prompts")
    return pictures
