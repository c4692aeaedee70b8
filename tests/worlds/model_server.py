"""An image server with a door, a list of models, and a pace, of the standard library alone."""

import base64
import io
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.worlds.image_server import paint


class ModelServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, token: str | None, models: Any, seconds: float) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.token = token
        self.models = models
        self.seconds = seconds
        self.asked: list[str] = []
        """Paths."""
        self.meet: threading.Barrier | None = None
        """Where a request waits for others before its picture is drawn."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that gave up waiting are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body as two packets cost 40 ms a request.
    wbufsize = -1
    server: ModelServer  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        models = self.server.models
        self._answer(404 if models is None else 200, {"object": "list", "data": models})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        time.sleep(self.server.seconds)
        if self.server.meet is not None:
            self.server.meet.wait()
        buffer = io.BytesIO()
        paint(body["prompt"], body["seed"]).save(buffer, "PNG")
        self._answer(200, {"data": [{"b64_json": base64.b64encode(buffer.getvalue()).decode()}]})

    def _answer(self, status: int, answer: dict[str, Any]) -> None:
        self.server.asked.append(self.path)
        token = self.server.token
        if token is not None and self.headers["Authorization"] != f"Bearer {token}":
            # As a proxy in front of a server says it: on several lines.
            status, answer = 401, {"error": {"message": "who\n  are\nyou"}}
        payload = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def modelling(
    *, token: str | None = None, models: Any = None, seconds: float = 0.0
) -> Iterator[ModelServer]:
    """A running server; None for its models: it has no list of them."""
    server = ModelServer(token, models, seconds)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
