"""A real HTTP server on loopback with nothing but the standard library: packages are tested with
their own dependencies alone."""

import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What the server says to one request."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | None = None
    """A Content-Length that promises more than the body has."""


class LoopbackServer(ThreadingHTTPServer):
    """Keeps what it was asked; a subclass says what it answers, from many threads at once."""

    daemon_threads = True
    # The default of 5 makes a burst of connections wait a second for the kernel.
    request_queue_size = 256

    def __init__(self, port: int = 0, *, token: str | None = None) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.token = token
        """Only who brings it is answered; None: whoever asks."""
        self.requests: list[dict[str, Any]] = []
        """Bodies of what was posted."""
        self.fetched: list[str] = []
        """Paths of what was got."""
        self.paths: list[str] = []
        self.keys: list[str | None] = []
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def post(self, path: str, body: dict[str, Any], number: int) -> Answer:
        """The answer to the ``number``-th body, counted from 0."""
        raise NotImplementedError

    def get(self, path: str) -> Answer:
        return Answer(status=404)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that gave up waiting are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body as two packets cost 40 ms a request: Nagle waits for a delayed acknowledgement.
    wbufsize = -1
    server: LoopbackServer  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            number = len(self.server.requests)
            self.server.requests.append(body)
            self._keep()
        self._send(self._refusal() or self.server.post(self.path, body, number))

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.fetched.append(self.path)
            self._keep()
        self._send(self._refusal() or self.server.get(self.path))

    def _keep(self) -> None:
        self.server.paths.append(self.path)
        self.server.keys.append(self.headers["Authorization"])

    def _refusal(self) -> Answer | None:
        token = self.server.token
        if token is None or self.headers["Authorization"] == f"Bearer {token}":
            return None
        # As a proxy in front of a server says it: on several lines.
        return Answer(
            status=401,
            body=b'{"error": {"message": "who\\n  are\\nyou"}}',
            headers={"Content-Type": "application/json"},
        )

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

    def log_message(self, format: str, *args: object) -> None:
        pass


Server = TypeVar("Server", bound=LoopbackServer)


@contextmanager
def running(server: Server) -> Iterator[Server]:
    """The server, while the block runs."""
    # A short poll, so that shutdown does not take its default half second in every test.
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def dead_url() -> str:
    """Where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        return f"http://127.0.0.1:{gone.getsockname()[1]}"
