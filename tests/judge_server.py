"""A real HTTP server on loopback that answers chat completions by a script, and its client."""

import base64
import io
import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from PIL import Image
from tests import http_server
from tests.http_server import LoopbackServer, dead_url, running

from genagent_rewards import ChatReply, ChatRequest, OpenAIChat, OpenAIChatConfig, parse_verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What the server says to one request; ``body`` stands in for a well-formed completion."""

    words: str | None = None
    finish: str = "stop"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    length: int | None = None
    """A Content-Length that promises more than the body has."""

    def payload(self) -> bytes:
        if self.body is not None:
            return self.body
        if self.status != 200:
            return json.dumps({"error": {"message": self.words}}).encode()
        message = {"role": "assistant", "content": self.words}
        choice = {"index": 0, "message": message, "finish_reason": self.finish}
        return json.dumps({"id": "x", "object": "chat.completion", "choices": [choice]}).encode()


YES = Answer(words="one red circle. <verdict>yes</verdict>")

Script = Callable[[dict[str, Any], int], Answer]
"""From a request's body and its number, counted from 0."""


class JudgeServer(LoopbackServer):
    def __init__(self, script: Script, port: int = 0) -> None:
        super().__init__(port)
        self.script = script

    @property
    def url(self) -> str:
        return f"{super().url}/v1"

    def post(self, path: str, body: dict[str, Any], number: int) -> http_server.Answer:
        assert path == "/v1/chat/completions"
        answer = self.script(body, number)
        return http_server.Answer(
            status=answer.status,
            body=answer.payload(),
            headers={"Content-Type": "application/json", **answer.headers},
            length=answer.length,
        )


def serving(script: Script | Answer) -> AbstractContextManager[JudgeServer]:
    """A running server; one answer is given to every request."""
    return running(
        JudgeServer((lambda body, number: script) if isinstance(script, Answer) else script)
    )


def pictures_in(body: dict[str, Any]) -> list[Image.Image]:
    """The pictures that a request's user turn shows."""
    urls = [
        part["image_url"]["url"]
        for part in body["messages"][-1]["content"]
        if part["type"] == "image_url"
    ]
    assert all(url.startswith("data:image/png;base64,") for url in urls)
    return [Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) for url in urls]


def words_in(body: dict[str, Any]) -> str:
    """The words of a request's user turn."""
    return "".join(part.get("text", "") for part in body["messages"][-1]["content"])


def refused_url() -> str:
    """Where no judge listens."""
    return f"{dead_url()}/v1"


def chat_for(*urls: str, **config) -> OpenAIChat:
    """A client of these servers that is quick to try again."""
    settings = {"backoff_seconds": (0.0, 0.01), "max_attempts": 3, "timeout_seconds": 20.0}
    return OpenAIChat(OpenAIChatConfig(base_urls=urls, model="judge", **(settings | config)))


def ask(chat: OpenAIChat, count: int = 1, **more) -> list[ChatReply]:
    """The replies to so many questions, each of which should hold a verdict."""
    requests = [ChatRequest(system="judge", parts=(f"question {n}",)) for n in range(count)]
    return chat.reply(requests, accept=lambda text: parse_verdict(text) is not None, **more)
