"""Servers in processes of their own, that can be killed and started again: pictures and words."""

import contextlib
import hashlib
import json
import multiprocessing
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image
from vllm_server import VllmServerConfig, command, surroundings

if TYPE_CHECKING:
    from genagent_tools import DrawSettings

SIZE = 48
"""Pixels of a picture's side."""
Answer = Callable[[str, bytes], dict[str, Any]]
"""What a server of JSON says, by path and body."""


def noise(text: str) -> Image.Image:
    """A picture that follows from a text."""
    return Image.frombytes("RGB", (SIZE, SIZE), random.Random(text).randbytes(3 * SIZE * SIZE))


class Painter:
    """A ``DrawingTool`` of noise that follows from prompt and seed."""

    def draw(
        self, prompts: Sequence[str], seeds: Sequence[int], settings: "DrawSettings"
    ) -> list[Image.Image]:
        return [noise(f"{prompt}/{seed}") for prompt, seed in zip(prompts, seeds, strict=True)]


def serve_pictures(port: int) -> None:
    """Our own image server, until it is killed."""
    from genagent_tools import ServedModel, ServerConfig, serve

    served = ServedModel(name="painter", width=SIZE, height=SIZE)
    serve(Painter(), served, ServerConfig(port=port))


def serve_verdicts(port: int) -> None:
    """A judge: what it says follows from what it is asked."""
    serve_json(port, _verdict)


def _verdict(path: str, asked: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(asked).digest()
    words = f"{digest.hex()} <verdict>{('yes', 'no')[digest[0] % 2]}</verdict>"
    return {"choices": [{"message": {"content": words}, "finish_reason": "stop"}]}


def serve_json(port: int, answer: Answer) -> None:
    """Answers until it is killed."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_POST(self) -> None:
            asked = self.rfile.read(int(self.headers["Content-Length"]))
            body = json.dumps(answer(self.path, asked)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 256

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Clients that give up waiting are part of it."""

    Server(("127.0.0.1", port), Handler).serve_forever()


class Process:
    """A server on a port of its own, in a process that can be killed and started again."""

    def __init__(self, serve: Callable[[int], None]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._serve = serve
        self.start()

    def start(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._process = spawn.Process(target=self._serve, args=(self.port,), daemon=True)
        self._process.start()

    def kill(self) -> None:
        """By SIGKILL."""
        self._process.kill()
        self._process.join()

    def is_ready(self) -> bool:
        """Whether it takes connections."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            return True
        return False


class VllmProcess(Process):
    """A real vLLM for a policy folder; by its port it is told from others."""

    def __init__(self, policy: Path, environment: Path) -> None:
        self._policy, self._environment = policy, environment
        super().__init__(lambda port: None)

    def start(self) -> None:
        config = VllmServerConfig(
            policy=self._policy, environment=self._environment, port=self.port
        )
        with (self._environment / f"server-{self.port}.log").open("ab") as log:
            self._server = subprocess.Popen(
                command(config),
                env=surroundings(config),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self) -> None:
        # Its engine is a process of its own, in the same group.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._server.pid, signal.SIGKILL)
        self._server.wait()


@contextmanager
def running(kinds: Sequence[Callable[[], Process]], *, seconds: float) -> Iterator[list[Process]]:
    """All of them, from when the last one is ready.

    Raises:
        RuntimeError: that takes longer.
    """
    found: list[Process] = []
    until = time.monotonic() + seconds
    try:
        for start in kinds:
            found.append(start())
        while not all(process.is_ready() for process in found):
            if time.monotonic() > until:
                ports = [process.port for process in found if not process.is_ready()]
                raise RuntimeError(f"nobody listens on the ports {ports} after {seconds:g} s")
            time.sleep(0.1)
        yield found
    finally:
        for process in found:
            process.kill()
