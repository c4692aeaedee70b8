"""What is asked of servers of one kind, over and over, and what it must come to."""

import asyncio
import random
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from soak_hostility import MIB
from soak_servers import noise

from genagent_endpoints import together
from genagent_rewards import (
    OpenAIChat,
    OpenAIChatConfig,
    Picture,
    PointQuestion,
    PointwiseJudge,
)
from genagent_tools import HttpImageTool, HttpToolConfig, ToolError
from genagent_tracking import print_line

Ask = Callable[[Sequence[int]], list[str | None]]
"""What each of these comes to, as a text; None where it is not to be had."""


@dataclass(kw_only=True, slots=True)
class Kind:
    """Servers of one kind, and what has been asked of them."""

    name: str
    ask: Ask
    known: dict[int, str | None] = field(default_factory=dict)
    """What was had of the good ones alone."""
    asked: int = 0
    lost: int = 0
    other: int = 0
    """Than without hostile and killed ones."""

    def soak(self, batch: int, stop: threading.Event, rng: random.Random) -> None:
        while not stop.is_set():
            chosen = [rng.choice(list(self.known)) for _ in range(batch)]
            for number, found in zip(chosen, self.ask(chosen), strict=True):
                self.asked += 1
                self.lost += found is None
                self.other += found not in (None, self.known[number])


def patience(urls: Sequence[str], path: str = "") -> dict[str, Any]:
    """Of a client that loses nothing as long as one server is good."""
    return {
        "base_urls": tuple(url + path for url in urls),
        "timeout_seconds": 5.0,
        "deadline_seconds": 120.0,
        "max_attempts": 20,
    }


def pictures(stack: ExitStack, urls: Sequence[str]) -> Ask:
    """Pictures of image servers."""
    config = HttpToolConfig(**patience(urls), max_answer_bytes=32 * MIB)
    tool = stack.enter_context(HttpImageTool(config))

    async def one(number: int) -> str | None:
        try:
            return Picture.of(await tool.draw_one(f"picture {number}", number)).name
        except ToolError as error:
            print_line(f"lost: {error}")
            return None

    async def all_of(numbers: Sequence[int]) -> list[str | None]:
        return await together(one(number) for number in numbers)

    return lambda numbers: asyncio.run(all_of(numbers))


def verdicts(stack: ExitStack, urls: Sequence[str]) -> Ask:
    """Verdicts of judges."""
    chat = OpenAIChat(
        OpenAIChatConfig(**patience(urls, "/v1"), model="judge", api_key_env="NO_KEY_IS_NEEDED")
    )
    judge = PointwiseJudge(chat)

    def ask(numbers: Sequence[int]) -> list[str | None]:
        questions = [
            PointQuestion(request=f"r {each}", hints=(), picture=Picture.of(noise(str(each))))
            for each in numbers
        ]
        found = judge.judge(questions)
        for question, verdict in zip(questions, found, strict=True):
            if verdict is None:
                print_line(f"lost: {judge.why_absent(question)}")
        return [verdict and verdict.raw for verdict in found]

    return ask
