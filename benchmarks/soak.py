"""Whether hostile servers among good ones cost anything but time.

    uv run benchmarks/soak.py --minutes 10

Image servers, judges and engines, two good ones of each kind and a hostile one beside them; the
first good one of each is killed in turn and started again. Everything is first asked of the good
ones alone, and then over and over of all: each picture, verdict and turn must be the one that was
had before. The image servers are our own, around a painter that draws at once; judges and engines
answer by a hash of what they are asked. The hostile ones hang, trickle, flood, answer with bombs
and absurd headers, redirect, or hang up; they do not lie in a well-formed answer, which nobody
could tell.
"""

import asyncio
import base64
import contextlib
import gzip
import hashlib
import json
import multiprocessing
import os
import random
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from PIL import Image

from genagent_data import write_text
from genagent_endpoints import Endpoints, EndpointsConfig, Lost, together
from genagent_rewards import (
    OpenAIChat,
    OpenAIChatConfig,
    Picture,
    PointQuestion,
    PointwiseJudge,
)
from genagent_tools import (
    DrawSettings,
    HttpImageTool,
    HttpToolConfig,
    ServedModel,
    ServerConfig,
    ToolError,
)
from genagent_tracking import parse, print_line, print_table

SIZE = 48
MIB = 1 << 20


@dataclass(frozen=True, kw_only=True)
class SoakConfig:
    """How long, and how much at once."""

    minutes: float = 10.0
    known: int = 64
    """Different pictures, verdicts and turns."""
    batch: int = 16
    """Asked together by each caller."""
    kill_seconds: float = 10.0
    """From one kill to the next, going round the kinds."""
    output: Path = Path("runs/soak.json")
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.minutes < float("inf"):
            raise ValueError(f"minutes is {self.minutes}; wants a number above 0")


class Painter:
    """A ``DrawingTool`` of noise that follows from prompt and seed."""

    def draw(
        self, prompts: Sequence[str], seeds: Sequence[int], settings: DrawSettings
    ) -> list[Image.Image]:
        return [_noise(f"{prompt}/{seed}") for prompt, seed in zip(prompts, seeds, strict=True)]


def serve_pictures(port: int) -> None:
    """Our own image server, until it is killed."""
    from genagent_tools import serve

    served = ServedModel(name="painter", width=SIZE, height=SIZE)
    serve(Painter(), served, ServerConfig(port=port))


def serve_words(port: int) -> None:
    """A judge and an engine: what they say follows from what they are asked."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_POST(self) -> None:
            asked = self.rfile.read(int(self.headers["Content-Length"]))
            digest = hashlib.sha256(asked).digest()
            if self.path.endswith("/chat/completions"):
                words = f"{digest.hex()} <verdict>{('yes', 'no')[digest[0] % 2]}</verdict>"
                choice = {"message": {"content": words}, "finish_reason": "stop"}
            else:
                choice = {"token_ids": list(digest), "finish_reason": "stop"}
            body = json.dumps({"choices": [choice]}).encode()
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


def serve_hostility(port: int) -> None:
    """A server that is asked like any other, and answers like none."""
    rng = random.Random(port)
    with socket.create_server(("127.0.0.1", port), backlog=256) as listener:
        while True:
            connection, _ = listener.accept()
            answer = rng.choice(HOSTILITY)
            threading.Thread(target=_be_hostile, args=(connection, answer), daemon=True).start()


def _be_hostile(connection: socket.socket, answer: Callable[[], Iterator[bytes]]) -> None:
    with connection, contextlib.suppress(OSError):
        connection.settimeout(60)
        connection.recv(65536)
        for piece in answer():
            connection.sendall(piece)
        connection.settimeout(0.2)
        # What is still on its way is read, or the answer would be reset with it.
        while connection.recv(65536):
            pass


def _answer(
    body: bytes, *headers: bytes, status: bytes = b"200 OK", length: int | None = None
) -> Iterator[bytes]:
    lines = b"".join(header + b"\r\n" for header in headers)
    size = len(body) if length is None else length
    yield b"HTTP/1.1 %s\r\nContent-Length: %d\r\n%s\r\n" % (status, size, lines)
    yield body


def _hang() -> Iterator[bytes]:
    time.sleep(20)
    yield b""


def _trickle() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    for _ in range(100):
        time.sleep(0.2)
        yield b" "


def _flood() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n\r\n"
    for _ in range(500):
        yield b"[" * MIB


def _heads() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    for _ in range(10_000):
        yield b"X: y\r\n" * 100


def _data(url: str) -> bytes:
    return json.dumps({"data": [{"url": url}]}).encode()


_BOMB = gzip.compress(bytes(200 * MIB), 9)
_LATER = b"Retry-After: Mon, 01 Jan 99999999999999999999 00:00:00 GMT"
HOSTILITY: tuple[Callable[[], Iterator[bytes]], ...] = (
    _hang,
    _trickle,
    _flood,
    _heads,
    lambda: iter(()),
    lambda: iter((b"\xff" * 1000,)),
    lambda: _answer(_BOMB, b"Content-Encoding: gzip"),
    lambda: _answer(b"[" * 300_000),
    lambda: _answer(b'{"choices":[' + b"[]," * 2_000_000 + b"[]]}"),
    lambda: _answer(b'{"error": {"message": "\\ud800 \\u001b[2J"}}', status=b"500 X"),
    lambda: _answer(b"{}", _LATER, status=b"429 X"),
    lambda: _answer(b"{}", _LATER, status=b"503 X"),
    lambda: _answer(b"{}", b"Content-Type: application/json; charset=rot13"),
    lambda: _answer(b"", b"Location: http://127.0.0.1:9/", status=b"307 X"),
    lambda: _answer(b'{"choices": [', length=5000),
    lambda: _answer(b"{}", b"Content-Length: " + b"9" * 5000),
    lambda: _answer(b'{"error": "who"}', status=b"401 X"),
    lambda: _answer(_data("data:image/png," + "%41" * 2_000_000)),
    lambda: _answer(_data("data:image/png;base64," + base64.b64encode(b"x" * 999).decode())),
    lambda: _answer(_data("/" * 3000)),
    lambda: _answer(
        json.dumps({"choices": [{"message": {"content": "<verdict>" * 100_000}}]}).encode()
    ),
)


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
        self._process.kill()
        self._process.join()

    def wait_until_ready(self) -> None:
        """Return once it takes connections."""
        while True:
            if self._process.exitcode is not None:
                raise RuntimeError(f"the server on port {self.port} ended")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(0.1)


@contextmanager
def processes(kinds: Sequence[Callable[[int], None]]) -> Iterator[list[Process]]:
    found: list[Process] = []
    try:
        for serve in kinds:
            found.append(Process(serve))
        for process in found:
            process.wait_until_ready()
        yield found
    finally:
        for process in found:
            process.kill()


@dataclass(kw_only=True, slots=True)
class Kind:
    """What is asked of servers of one kind, over and over."""

    name: str
    ask: Callable[[Sequence[int]], list[str | None]]
    """What each of these comes to, as a text; None where it is not to be had."""
    known: dict[int, str | None] = field(default_factory=dict)
    asked: int = 0
    lost: int = 0
    other: int = 0
    """Than without the hostile ones."""

    def soak(self, batch: int, stop: threading.Event, rng: random.Random) -> None:
        while not stop.is_set():
            chosen = [rng.choice(list(self.known)) for _ in range(batch)]
            for number, found in zip(chosen, self.ask(chosen), strict=True):
                self.asked += 1
                self.lost += found is None
                self.other += found not in (None, self.known[number])


def _patience(urls: Sequence[str], path: str = "") -> dict[str, Any]:
    return {
        "base_urls": tuple(url + path for url in urls),
        "timeout_seconds": 5.0,
        "deadline_seconds": 120.0,
        "max_attempts": 20,
    }


def _pictures(stack: ExitStack, urls: Sequence[str]) -> Kind:
    config = HttpToolConfig(**_patience(urls), max_answer_bytes=32 * MIB)
    tool = stack.enter_context(HttpImageTool(config))

    async def one(number: int) -> str | None:
        try:
            return Picture.of(await tool.draw_one(f"picture {number}", number)).name
        except ToolError as error:
            print_line(f"lost: {error}")
            return None

    async def all_of(numbers: Sequence[int]) -> list[str | None]:
        return await together(one(number) for number in numbers)

    return Kind(name="pictures", ask=lambda numbers: asyncio.run(all_of(numbers)))


def _verdicts(urls: Sequence[str]) -> Kind:
    chat = OpenAIChat(
        OpenAIChatConfig(**_patience(urls, "/v1"), model="judge", api_key_env="NO_KEY_IS_NEEDED")
    )
    judge = PointwiseJudge(chat)

    def ask(numbers: Sequence[int]) -> list[str | None]:
        questions = [
            PointQuestion(request=f"r {each}", hints=(), picture=Picture.of(_noise(str(each))))
            for each in numbers
        ]
        verdicts = judge.judge(questions)
        for question, verdict in zip(questions, verdicts, strict=True):
            if verdict is None:
                print_line(f"lost: {judge.why_absent(question)}")
        return [verdict and verdict.raw for verdict in verdicts]

    return Kind(name="verdicts", ask=ask)


def _turns(stack: ExitStack, urls: Sequence[str]) -> Kind:
    endpoints = stack.enter_context(Endpoints(EndpointsConfig(**_patience(urls))))

    class Turn:
        def __init__(self, number: int) -> None:
            self.number = number

        async def body(self) -> dict[str, object]:
            return {"token_ids": [self.number]}

        async def read(self, answer: Any, exchange: Any) -> str:
            try:
                return str(answer.json()["choices"][0]["token_ids"])
            except (LookupError, TypeError) as error:
                raise Lost(f"no turn ({error})") from error

    def ask(numbers: Sequence[int]) -> list[str | None]:
        work = together(endpoints.ask("/inference/v1/generate", Turn(number)) for number in numbers)
        return list(endpoints.run(work))

    return Kind(name="turns", ask=ask)


def _noise(text: str) -> Image.Image:
    rng = random.Random(text)
    return Image.frombytes("RGB", (SIZE, SIZE), rng.randbytes(3 * SIZE * SIZE))


def _resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / MIB


def main(config: SoakConfig) -> None:
    """Ask the good ones, then all of them until the time is up."""
    with ExitStack() as stack:
        good = stack.enter_context(
            processes([serve_pictures] * 2 + [serve_words] * 4),
        )
        bad = stack.enter_context(processes([serve_hostility] * 3))
        urls = [[each.url for each in good[place : place + 2]] for place in (0, 2, 4)]
        before = (_pictures(stack, urls[0]), _verdicts(urls[1]), _turns(stack, urls[2]))
        mixed = [[one.url, *others] for one, others in zip(bad, urls, strict=True)]
        kinds = (_pictures(stack, mixed[0]), _verdicts(mixed[1]), _turns(stack, mixed[2]))
        numbers = range(config.known)
        for alone, kind in zip(before, kinds, strict=True):
            kind.known = dict(zip(numbers, alone.ask(numbers), strict=True))
            if None in kind.known.values():
                raise RuntimeError(f"{kind.name} are not to be had without hostile servers either")
        stop, kills, memory = threading.Event(), 0, [_resident_mib()]
        with ThreadPoolExecutor(len(kinds)) as pool:
            jobs = [
                pool.submit(
                    kind.soak, config.batch, stop, random.Random(f"{config.seed}/{kind.name}")
                )
                for kind in kinds
            ]
            until = time.monotonic() + 60 * config.minutes
            while (left := until - time.monotonic()) > 0 and not any(job.done() for job in jobs):
                time.sleep(min(left, config.kill_seconds))
                killed = good[2 * (kills % len(kinds))]
                killed.kill()
                killed.start()
                kills += 1
                memory.append(_resident_mib())
            stop.set()
            for job in jobs:
                job.result()
    rows = [
        {"what": each.name}
        | {name: str(getattr(each, name)) for name in ("asked", "lost", "other")}
        for each in kinds
    ]
    print_table(f"{config.minutes:g} minutes, {kills} kills", rows, has_total=False)
    print_line(f"memory: {memory[0]:.0f} MiB before, {max(memory):.0f} at most, {memory[-1]:.0f}")
    config.output.parent.mkdir(parents=True, exist_ok=True)
    result = {"rows": rows, "kills": kills, "minutes": config.minutes, "mib": memory}
    write_text(config.output, json.dumps(result, indent=2))
    print_line(str(config.output))


if __name__ == "__main__":
    main(parse(SoakConfig, sys.argv[1:], prog="soak.py"))
