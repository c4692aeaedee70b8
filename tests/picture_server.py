"""A real HTTP server on loopback that answers requests for pictures by a script, and its client."""

import base64
import hashlib
import io
import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import urlsplit

from PIL import Image
from tests.http_server import Answer, LoopbackServer, running

from genagent_tools import HttpImageTool, HttpToolConfig


def paint(prompt: str, seed: int, *more: object) -> Image.Image:
    """16x16 pixels that follow from prompt, seed and whatever else is given."""
    digest = hashlib.sha256(repr((prompt, seed, *more)).encode()).digest()
    return Image.frombytes("RGB", (16, 16), digest * 24)


def as_png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()


def as_base64(picture: Image.Image) -> str:
    return base64.b64encode(as_png(picture)).decode()


def picture_answer(prompt: str, seed: int, /, **entry: Any) -> Answer:
    """The painter's picture, unless another entry is given."""
    entry = entry or {"b64_json": as_base64(paint(prompt, seed))}
    return Answer(body=json.dumps({"created": 1, "data": [entry]}).encode())


def right(body: dict[str, Any], number: int) -> Answer:
    """The script of a server that does what it should."""
    return picture_answer(body["prompt"], body.get("seed", 0))


Script = Callable[[dict[str, Any], int], Answer]
"""From a request's body and its number, counted from 0."""


class PictureServer(LoopbackServer):
    def __init__(self, script: Script, port: int = 0, *, token: str | None, models: object) -> None:
        super().__init__(port, token=token)
        self.script = script
        self.models = models
        self.at_once = self.most_at_once = 0

    def post(self, path: str, body: dict[str, Any], number: int) -> Answer:
        assert urlsplit(path).path == "/v1/images/generations"
        with self.lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        answer = self.script(body, number)
        with self.lock:
            self.at_once -= 1
        return answer

    def get(self, path: str) -> Answer:
        """``/pictures/<prompt>/<seed>``, and a query that is not read; or the list of models."""
        if path == "/v1/models":
            if self.models is None:
                return Answer(status=404)
            return Answer(body=json.dumps({"object": "list", "data": self.models}).encode())
        prompt, seed = path.split("?")[0].split("/")[-2:]
        return Answer(body=as_png(paint(prompt, int(seed))))


def answering(
    script: Script = right, port: int = 0, *, token: str | None = None, models: object = None
) -> AbstractContextManager[PictureServer]:
    """A running server; None for its models: it has no list of them."""
    return running(PictureServer(script, port, token=token, models=models))


def first_then_right(*answers: Answer) -> Script:
    """A script that starts with these answers."""
    return lambda body, number: answers[number] if number < len(answers) else right(body, number)


def tool_for(*servers: PictureServer | str, **changes: Any) -> HttpImageTool:
    """A client of these servers that is quick to try again."""
    urls = tuple(server if isinstance(server, str) else server.url for server in servers)
    quick = {"backoff_seconds": (0.0, 0.01), "timeout_seconds": 20.0, "deadline_seconds": 60.0}
    return HttpImageTool(HttpToolConfig(base_urls=urls, **{**quick, **changes}))


def drawn(tool: HttpImageTool, prompts: Sequence[str], seeds: Sequence[int]) -> list[bytes]:
    """What the tool drew, as pixels."""
    return [picture.tobytes() for picture in tool.generate(prompts, seeds)]


def expected(prompts: Sequence[str], seeds: Sequence[int]) -> list[bytes]:
    """What the painter draws, as pixels."""
    return [paint(p, s).tobytes() for p, s in zip(prompts, seeds, strict=True)]
