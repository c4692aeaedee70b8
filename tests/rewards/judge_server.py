"""A real HTTP server on loopback that answers chat completions by a script, and its client."""

import base64
import io
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image

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


class JudgeServer(ThreadingHTTPServer):
    daemon_threads = True
    # The default of 5 makes a burst of connections wait a second for the kernel.
    request_queue_size = 256

    def __init__(self, script: Script) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script = script
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that gave up waiting are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body as two packets cost 40 ms a request: Nagle waits for a delayed acknowledgement.
    wbufsize = -1
    server: JudgeServer  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.path == "/v1/chat/completions"
        with self.server.lock:
            number = len(self.server.requests)
            self.server.requests.append(body)
            self.server.keys.append(self.headers["Authorization"])
        answer = self.server.script(body, number)
        payload = answer.payload()
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(answer.length or len(payload)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(payload)
        if answer.length:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(script: Script | Answer) -> Iterator[JudgeServer]:
    """A running server; one answer is given to every request."""
    server = JudgeServer((lambda body, number: script) if isinstance(script, Answer) else script)
    # A short poll, so that shutdown does not take its default half second in every test.
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


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
    """Where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/v1"


def chat_for(*urls: str, **config) -> OpenAIChat:
    """A client of these servers that is quick to try again."""
    settings = {"backoff_seconds": (0.0, 0.01), "max_attempts": 3, "timeout_seconds": 20.0}
    return OpenAIChat(OpenAIChatConfig(base_urls=urls, model="judge", **(settings | config)))


def ask(chat: OpenAIChat, count: int = 1, **more) -> list[ChatReply]:
    """The replies to so many questions, each of which should hold a verdict."""
    requests = [ChatRequest(system="judge", parts=(f"question {n}",)) for n in range(count)]
    return chat.reply(requests, accept=lambda text: parse_verdict(text) is not None, **more)
