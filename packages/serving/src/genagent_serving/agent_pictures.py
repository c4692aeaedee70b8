"""An agent as a maker of pictures: what a request asks for, and what its trajectory answers."""

import asyncio
import base64
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from uuid import uuid4

from genagent_data import Picture, Request, Round, Trajectory
from genagent_data.pictures import png_bytes
from genagent_rollout import Watcher
from genagent_rollout.vllm_engine import EngineError
from genagent_serving.agent_loop import AgentLoop, NoRoom, PromptTooLong
from genagent_serving.agent_metrics import AgentMetrics
from genagent_serving.answered import Answered
from genagent_serving.prompt_check import prompt_problem
from genagent_tools import DrawSettings
from genagent_tools.server import ApiError, ImageRequest, Load, MadePicture, queue_full


class AgentPictures:
    """A ``PictureMaker`` by rounds: think, call the tool, look, judge, reflect."""

    def __init__(
        self,
        agents: AgentLoop,
        metrics: AgentMetrics,
        *,
        problem: Callable[[Request], str | None],
    ) -> None:
        """
        Args:
            problem: what keeps a request from being answered; called from other threads.
        """
        self.agents = agents
        self._problem = problem
        self._metrics = metrics
        metrics.watch_progress(lambda: agents.in_progress)

    @property
    def load(self) -> Load:
        return Load(alive=self.agents.alive, waiting=self.agents.waiting)

    def start(self) -> None:
        self.agents.start()

    async def make(
        self, body: ImageRequest, seeds: Sequence[int], settings: DrawSettings
    ) -> list[MadePicture]:
        """See ``PictureMaker``; an attempt without any picture fails them all."""
        answers = await self.act(body.prompt, seeds)
        return await asyncio.to_thread(
            lambda: [made_picture(each, with_rounds=bool(body.rounds)) for each in answers]
        )

    async def act(
        self, prompt: str, seeds: Sequence[int], *, watcher: Watcher | None = None
    ) -> list[Answered]:
        """An attempt for each seed, all side by side; cancelled, it gives them up.

        Raises:
            ApiError: 400 for a prompt that cannot be answered, 429 where there is no room, 502
                where the engine's servers fail.
        """
        request = await self._read(prompt)
        started = time.perf_counter()
        attempts: list[Future[Answered]] = []
        try:
            attempts = self.agents.begin(request, seeds=seeds, watcher=watcher)
            answers = await asyncio.gather(*map(asyncio.wrap_future, attempts))
        except NoRoom as full:
            raise queue_full(
                str(full), waiting=self.agents.waiting, speed=self.agents.per_second
            ) from None
        except PromptTooLong as error:
            raise ApiError(400, str(error), param="prompt", code="prompt_too_long") from error
        except EngineError as error:
            raise ApiError(502, str(error), code="engine_failed") from error
        finally:
            for attempt in attempts:
                attempt.cancel()
        for answered in answers:
            self._metrics.ended(answered.trajectory, seconds=time.perf_counter() - started)
        return answers

    def stop(self, seconds: float) -> bool:
        return self.agents.stop(seconds)

    async def _read(self, prompt: str) -> Request:
        """What the agent is asked. Raises ApiError where it cannot be."""
        problem = prompt_problem(prompt)
        if problem is None:
            request = Request(id=uuid4().hex, prompt=prompt, task="served")
            problem = await asyncio.to_thread(self._problem, request)
            if problem is None:
                return request
        raise ApiError(400, problem, param="prompt", code="invalid_value")


def made_picture(answered: Answered, *, with_rounds: bool) -> MadePicture:
    """A trajectory as an answer: its last picture, and the prompt that this was drawn from.

    Raises:
        ApiError: 502 where the tool gave no picture at all, 500 where the agent asked for none.
    """
    trajectory = answered.trajectory
    drawn = [round for round in trajectory.rounds if round.picture is not None]
    if not drawn:
        raise _without_picture(trajectory, answered.seed)
    last = drawn[-1]
    assert last.picture is not None
    extensions: dict[str, object] = {
        "ending": trajectory.ending,
        "error": trajectory.error,
        "answer": trajectory.answer,
    }
    if with_rounds:
        extensions["rounds"] = [_round(round) for round in trajectory.rounds]
    return MadePicture(
        encoded=_encoded(last.picture),
        size=last.picture.image.size,
        revised_prompt=last.tool_prompt,
        extensions=extensions,
    )


def _without_picture(trajectory: Trajectory, seed: int) -> ApiError:
    ending = f"{trajectory.ending.replace('_', ' ')} ({trajectory.error})"
    message = f"the agent ended without a picture at seed {seed}: {ending}"
    if trajectory.ending == "tool_failure":
        return ApiError(502, message, code="tool_failed")
    return ApiError(500, message, code="no_picture")


def _round(round: Round) -> dict[str, object]:
    return {
        "prompt": round.tool_prompt,
        "thinking": round.thinking,
        "judgement": round.judgement,
        "b64_json": None if round.picture is None else _encoded(round.picture),
        "seed": round.seed,
        "seconds": round.tool_seconds,
    }


def _encoded(picture: Picture) -> str:
    return base64.b64encode(png_bytes(picture)).decode("ascii")
