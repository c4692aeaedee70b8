"""Whether a batch of verdicts keeps its endpoint busy.

    uv run benchmarks/judges.py
    uv run benchmarks/judges.py --reply-seconds 0.5 --max-concurrency 64 --side 1024

The endpoint is a real HTTP server in a process of its own that answers every question after a
random while, as many at a time as are asked. It notes when each request has come in whole and when
its answer leaves: from the first request to the last, the share of the time in which
``max_concurrency`` of them were there. After the last one fewer are left than the bound, and nobody
could do better.
"""

import asyncio
import json
import multiprocessing
import random
import socket
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import uvicorn
from PIL import Image
from starlette.types import Receive, Scope, Send

from genagent_data import write_text
from genagent_rewards import OpenAIChat, OpenAIChatConfig, Picture, PointQuestion, PointwiseJudge
from genagent_tracking import parse, print_line, print_table, waiting

Span = tuple[float, float]
"""Arrival and departure of a request, seconds on a clock that only goes forward."""

SPREAD = 0.3
"""Standard deviation of the logarithm of the reply times."""


@dataclass(frozen=True, kw_only=True)
class JudgesConfig:
    """What is asked of whom."""

    questions: int = 200
    side: int = 512
    """Of a picture, pixels."""
    reply_seconds: tuple[float, ...] = (0.2, 1.0, 3.0)
    """Median of the endpoint's reply times, one measurement each."""
    max_concurrency: int = 32
    rounds: int = 3
    output: Path = Path("runs/judges.json")
    seed: int = 0

    def __post_init__(self) -> None:
        if self.questions <= self.max_concurrency:
            raise ValueError(
                f"{self.questions} questions never wait for one of {self.max_concurrency} places; "
                "ask more"
            )


class Endpoint:
    """An ASGI app that answers yes after a while; ``GET /spans`` hands over what it noted."""

    def __init__(self, reply_seconds: float, seed: int) -> None:
        self._reply_seconds = reply_seconds
        self._random = random.Random(seed)
        self._spans: list[Span] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["path"] == "/spans":
            spans, self._spans = self._spans, []
            return await _answer(send, spans)
        while (await receive()).get("more_body", False):
            pass
        arrived = time.monotonic()
        await asyncio.sleep(self._reply_seconds * self._random.lognormvariate(0, SPREAD))
        self._spans.append((arrived, time.monotonic()))
        message = {"role": "assistant", "content": "Everything is there. <verdict>yes</verdict>"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        await _answer(send, {"id": "x", "object": "chat.completion", "choices": [choice]})


async def _answer(send: Send, content: object) -> None:
    body = json.dumps(content).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _serve(port: int, reply_seconds: float, seed: int) -> None:
    uvicorn.run(Endpoint(reply_seconds, seed), port=port, log_level="error", lifespan="off")


@contextmanager
def serving(reply_seconds: float, seed: int) -> Iterator[str]:
    """The endpoint's URL, until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = multiprocessing.get_context("spawn").Process(
        target=_serve, args=(port, reply_seconds, seed)
    )
    process.start()
    try:
        url = f"http://127.0.0.1:{port}"
        while True:
            try:
                httpx.get(f"{url}/spans")
                break
            except httpx.ConnectError:
                if not process.is_alive():
                    raise RuntimeError(f"the endpoint on port {port} ended") from None
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.join()


def share_at_bound(spans: list[Span], bound: int) -> tuple[float, float]:
    """Share of the time from the first arrival to the last with ``bound`` requests there, and the
    mean number of them as a share of the bound."""
    last = max(arrived for arrived, _ in spans)
    events = sorted([(arrived, 1) for arrived, _ in spans] + [(left, -1) for _, left in spans])
    there, full, area = 0, 0.0, 0.0
    now = first = events[0][0]
    for moment, change in events:
        if moment > last:
            break
        full += (moment - now) * (there >= bound)
        area += (moment - now) * there
        there, now = there + change, moment
    return full / (last - first), area / (last - first) / bound


def pictures(count: int, side: int, seed: int) -> list[Image.Image]:
    """Smooth noise, which a PNG compresses about as well as a painting."""
    noise = np.random.default_rng(seed)
    return [
        Image.fromarray(noise.integers(0, 256, (side // 16, side // 16, 3), dtype=np.uint8)).resize(
            (side, side), Image.Resampling.BICUBIC
        )
        for _ in range(count)
    ]


def main(config: JudgesConfig) -> None:
    """Measure, show, write down."""
    questions = [
        PointQuestion(request=f"scene {number}", hints=("all of it",), picture=Picture.of(picture))
        for number, picture in enumerate(pictures(config.questions, config.side, config.seed))
    ]
    bound, rows = config.max_concurrency, []
    for reply_seconds in config.reply_seconds:
        shares, means, speeds = [], [], []
        with (
            waiting(f"{config.rounds} rounds of replies that take {reply_seconds:g} s"),
            serving(reply_seconds, config.seed) as url,
        ):
            chat = OpenAIChat(
                OpenAIChatConfig(base_urls=(f"{url}/v1",), model="judge", max_concurrency=bound)
            )
            for _ in range(config.rounds):
                started = time.perf_counter()
                verdicts = PointwiseJudge(chat).judge(questions)
                seconds = time.perf_counter() - started
                if not all(verdict and verdict.choice == "yes" for verdict in verdicts):
                    raise RuntimeError("a verdict is missing")
                share, mean = share_at_bound(httpx.get(f"{url}/spans").json(), bound)
                shares.append(share)
                means.append(mean)
                speeds.append(config.questions / seconds)
        rows.append(
            {
                "reply, s": f"{reply_seconds:g}",
                "at the bound, %": " ".join(f"{100 * share:.1f}" for share in shares),
                "mean of the bound, %": " ".join(f"{100 * mean:.1f}" for mean in means),
                "verdicts/s": f"{statistics.median(speeds):.1f}",
            }
        )
    size = f"{config.side}x{config.side}"
    print_table(
        f"{config.questions} pictures of {size}, {bound} requests in flight", rows, has_total=False
    )
    config.output.parent.mkdir(parents=True, exist_ok=True)
    write_text(config.output, json.dumps(rows, indent=2))
    print_line(str(config.output))


if __name__ == "__main__":
    main(parse(JudgesConfig, sys.argv[1:], prog="judges.py"))
