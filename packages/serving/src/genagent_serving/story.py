"""One trajectory as a person watches it: what the agent says and draws, as it happens."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

from genagent_data import Picture, Round, Trajectory, Turn
from genagent_serving.answered import ending_words


@dataclass(frozen=True, kw_only=True, slots=True)
class Chapter:
    """A round in the making."""

    thinking: str | None
    prompt: str
    picture: Picture | None = None
    seconds: float = 0.0
    judgement: str | None = None
    goes_on: bool | None = None
    """What the agent did after it had looked; None: it has not yet, or it broke off."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Story:
    """What has happened so far."""

    request: str
    chapters: tuple[Chapter, ...] = ()
    status: str | None = "The agent is thinking …"
    """What is waited for; None: nothing."""
    ending: str | None = None
    answer: str | None = None

    def heard(self, turn: Turn) -> "Story":
        """The agent has spoken."""
        chapters = list(self.chapters)
        if chapters:
            goes_on = None if turn.error is not None else turn.tool_prompt is not None
            chapters[-1] = replace(chapters[-1], judgement=turn.judgement, goes_on=goes_on)
        if turn.tool_prompt is not None:
            chapters.append(Chapter(thinking=turn.thinking, prompt=turn.tool_prompt))
        status = "The tool is drawing …" if turn.tool_prompt is not None else None
        return replace(self, chapters=tuple(chapters), status=status)

    def saw(self, round: Round) -> "Story":
        """The tool has drawn, or failed."""
        last = replace(self.chapters[-1], picture=round.picture, seconds=round.tool_seconds)
        status = None if round.picture is None else "The agent looks at the picture …"
        return replace(self, chapters=(*self.chapters[:-1], last), status=status)

    def given_up(self) -> "Story":
        """Somebody has stopped it."""
        return replace(self, status=None, ending="Stopped; nothing is kept.")

    def ended(self, trajectory: Trajectory) -> "Story":
        """It is over. A call that came after the last round has no chapter."""
        return replace(
            self,
            chapters=self.chapters[: len(trajectory.rounds)],
            status=None,
            ending=ending_words(trajectory),
            answer=trajectory.answer,
        )


@dataclass(slots=True, eq=False)
class LiveStory:
    """A ``Watcher`` on the agent's thread, a stream of stories on this event loop."""

    story: Story
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    _events: "asyncio.Queue[Turn | Round | None]" = field(default_factory=asyncio.Queue)

    def spoke(self, turn: Turn) -> None:
        self._loop.call_soon_threadsafe(self._events.put_nowait, turn)

    def drew(self, round: Round) -> None:
        self._loop.call_soon_threadsafe(self._events.put_nowait, round)

    def close(self) -> None:
        """No event comes any more."""
        self._events.put_nowait(None)

    async def stories(self) -> AsyncIterator[Story]:
        """The story after each event, until it is closed."""
        yield self.story
        while (event := await self._events.get()) is not None:
            heard = isinstance(event, Turn)
            self.story = self.story.heard(event) if heard else self.story.saw(event)
            yield self.story
