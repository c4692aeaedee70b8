"""A server that answers like none: hangs, trickles, floods, bombs and absurd headers."""

import base64
import contextlib
import gzip
import json
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache

MIB = 1 << 20


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


@cache
def _bomb() -> bytes:
    return gzip.compress(bytes(200 * MIB), 9)


_LATER = b"Retry-After: Mon, 01 Jan 99999999999999999999 00:00:00 GMT"
HOSTILITY: tuple[Callable[[], Iterator[bytes]], ...] = (
    _hang,
    _trickle,
    _flood,
    _heads,
    lambda: iter(()),
    lambda: iter((b"\xff" * 1000,)),
    lambda: _answer(_bomb(), b"Content-Encoding: gzip"),
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
