"""A real HTTP server on loopback that answers JSON by a script, and a client of it."""

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from genagent_endpoints import Endpoints, EndpointsConfig, together


@dataclass(frozen=True, kw_only=True, slots=True)
class Says:
    """What the server says to one request."""

    status: int = 200
    body: bytes = b'"yes"'
    headers: Mapping[str, str] = field(default_factory=dict)


Script = Callable[[Any, int], Says]
"""From a request's body and its number, counted from 0."""


class ScriptedServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, script: Script, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.script = script
        self.asked: list[Any] = []
        self.keys: list[str | None] = []
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that gave up waiting are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    server: ScriptedServer  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            number = len(self.server.asked)
            self.server.asked.append(body)
            self.server.keys.append(self.headers["Authorization"])
        says = self.server.script(body, number)
        self.send_response(says.status)
        self.send_header("Content-Length", str(len(says.body)))
        for name, value in says.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(says.body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def saying(said: Script | Says = Says(), port: int = 0) -> Iterator[ScriptedServer]:
    """A running server; one answer is given to every request."""
    script = (lambda body, number: said) if isinstance(said, Says) else said
    server = ScriptedServer(script, port)
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


def client(*servers: ScriptedServer | str, **changes: Any) -> Endpoints:
    """A client of these servers that is quick to try again."""
    urls = tuple(server if isinstance(server, str) else server.url for server in servers)
    quick = {"backoff_seconds": (0.0, 0.01), "timeout_seconds": 20.0, "deadline_seconds": 60.0}
    return Endpoints(EndpointsConfig(base_urls=urls, **{**quick, **changes}))


def ask(endpoints: Endpoints, *bodies: Any) -> list[object]:
    """What the servers answer to each, in order."""

    async def one(body: Any) -> object:
        return (await endpoints.post("/ask", body)).json()

    return endpoints.run(together(one(body) for body in bodies))
