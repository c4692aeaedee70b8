"""A real HTTP server on loopback that answers requests for pictures by a script, and its client."""

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from tests.tools.painting import as_base64, as_png, paint

from genagent_tools import HttpImageTool, HttpToolConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What the server says to one request."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | None = None
    """A Content-Length that promises more than the body has."""


def picture_answer(prompt: str, seed: int, /, **entry: Any) -> Answer:
    """The painter's picture, unless another entry is given."""
    entry = entry or {"b64_json": as_base64(paint(prompt, seed))}
    return Answer(body=json.dumps({"created": 1, "data": [entry]}).encode())


def right(body: dict[str, Any], number: int) -> Answer:
    """The script of a server that does what it should."""
    return picture_answer(body["prompt"], body.get("seed", 0))


Script = Callable[[dict[str, Any], int], Answer]
"""From a request's body and its number, counted from 0."""


class PictureServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, script: Script, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.script = script
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.paths: list[str] = []
        self.fetched: list[str] = []
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that gave up waiting are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body as two packets cost 40 ms a request: Nagle waits for a delayed acknowledgement.
    wbufsize = -1
    server: PictureServer  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_POST(self) -> None:
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert urlsplit(self.path).path == "/v1/images/generations"
        with server.lock:
            number = len(server.requests)
            server.requests.append(body)
            server.paths.append(self.path)
            server.keys.append(self.headers["Authorization"])
            server.at_once += 1
            server.most_at_once = max(server.most_at_once, server.at_once)
        answer = server.script(body, number)
        with server.lock:
            server.at_once -= 1
        self._send(answer)

    def do_GET(self) -> None:
        """``/pictures/<prompt>/<seed>``, and a query that is not read; no list of models."""
        if self.path == "/v1/models":
            self._send(Answer(status=404))
            return
        with self.server.lock:
            self.server.fetched.append(self.path)
            self.server.keys.append(self.headers["Authorization"])
        prompt, seed = self.path.split("?")[0].split("/")[-2:]
        self._send(Answer(body=as_png(paint(prompt, int(seed)))))

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        length = len(answer.body) if answer.length is None else answer.length
        self.send_header("Content-Length", str(length))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if length != len(answer.body):
            self.close_connection = True
        self.end_headers()
        self.wfile.write(answer.body)
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def answering(script: Script = right, port: int = 0) -> Iterator[PictureServer]:
    """The server, while the block runs."""
    server = PictureServer(script, port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def first_then_right(*answers: Answer) -> Script:
    """A script that starts with these answers."""
    return lambda body, number: answers[number] if number < len(answers) else right(body, number)


def dead_url() -> str:
    """Where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        return f"http://127.0.0.1:{gone.getsockname()[1]}"


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
