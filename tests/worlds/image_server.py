"""A real image server on loopback with nothing but the standard library: packages are tested with
their own dependencies alone, and ``tests.tools.picture_server`` needs those of the server."""

import base64
import hashlib
import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image


def paint(prompt: str, seed: int) -> Image.Image:
    """16x16 pixels that follow from prompt and seed."""
    digest = hashlib.sha256(repr((prompt, seed)).encode()).digest()
    return Image.frombytes("RGB", (16, 16), digest * 24)


class ImageServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, status: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = status
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body as two packets cost 40 ms a request.
    wbufsize = -1
    server: ImageServer  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.path == "/v1/images/generations"
        self.server.requests.append(body)
        self.server.keys.append(self.headers["Authorization"])
        answer: dict[str, Any] = {"error": {"message": "not you"}}
        if self.server.status == 200:
            buffer = io.BytesIO()
            paint(body["prompt"], body["seed"]).save(buffer, "PNG")
            encoded = base64.b64encode(buffer.getvalue()).decode()
            answer = {"created": 1, "data": [{"b64_json": encoded}]}
        payload = json.dumps(answer).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def drawing(status: int = 200) -> Iterator[ImageServer]:
    """A running server that draws, or one that answers everything with another status."""
    server = ImageServer(status)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
