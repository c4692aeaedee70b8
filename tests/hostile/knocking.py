"""A caller at the door of our own servers, that says what it wants to byte by byte."""

import contextlib
import socket

from tests.tools.painting import GENERATIONS

HEAD_SECONDS = 0.5
POST = f"POST {GENERATIONS} HTTP/1.1\r\nHost: localhost\r\n".encode()


def call(url: str) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=20)


def hear(connection: socket.socket) -> bytes:
    """All that the server says until it hangs up."""
    heard = b""
    with contextlib.suppress(ConnectionError):
        while piece := connection.recv(65536):
            heard += piece
    return heard


def is_well(url: str) -> bool:
    return get(url, "/healthz")[:12] == b"HTTP/1.1 200"


def get(url: str, path: str, *, host: str = "localhost") -> bytes:
    """Not by a client library, which takes 50 ms to be set up."""
    with call(url) as connection:
        connection.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
        )
        return hear(connection)


def flood(url: str, start: bytes, piece: bytes, *, most: int = 64 << 20) -> tuple[int, bytes]:
    """Bytes that went out before the server hung up, and what it said."""
    with call(url) as connection:
        sent = len(start)
        with contextlib.suppress(OSError):
            connection.sendall(start)
            while sent < most:
                connection.sendall(piece)
                sent += len(piece)
        return sent, hear(connection)
