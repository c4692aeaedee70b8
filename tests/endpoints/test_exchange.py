"""One request to one ill server: what its client hears, and after how long."""

import contextlib
import socket
import threading
import time

import pytest
from tests.endpoints.scripted_server import ask, client

from genagent_endpoints import EndpointsConfig, Exhausted, Refused


def listening(talk):
    """A socket whose first visitor is talked to."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        connection, _ = listener.accept()
        # The client may hang up first.
        with connection, contextlib.suppress(OSError):
            talk(connection)

    threading.Thread(target=serve, daemon=True).start()
    return listener


def url_of(listener):
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("size", [100_000, 5_000_000, 30_000_000])
def test_a_refusal_is_heard_though_the_server_does_not_listen_to_the_end(size):
    def too_much(connection):
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 413 X\r\nContent-Length: 8\r\n\r\ntoo much")
        # Closed with bytes unread: the kernel resets the connection.

    heard = pytest.raises(Refused, match=r": 413 too much$")
    with listening(too_much) as listener, client(url_of(listener)) as endpoints, heard:
        ask(endpoints, "x" * size)


def test_a_trickle_does_not_outlast_the_time_of_an_attempt():
    def trickle(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(100):
            time.sleep(0.05)
            connection.sendall(b" ")

    with (
        listening(trickle) as listener,
        client(url_of(listener), timeout_seconds=0.5, max_attempts=1) as endpoints,
    ):
        started = time.monotonic()
        with pytest.raises(Exhausted, match=r"no answer within 0\.5 s \(after 1 attempts\)"):
            ask(endpoints, {})
        assert time.monotonic() - started < 4.5


@pytest.mark.parametrize(
    "says",
    [
        b"",
        b"rubbish\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 10_000_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\n",
        b"HTTP/1.1 999 \xff\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_whatever_comes_is_an_answer_or_lost(says):
    def talk(connection):
        connection.recv(100_000)
        connection.sendall(says)

    with (
        listening(talk) as listener,
        client(url_of(listener), timeout_seconds=5.0, max_attempts=1) as endpoints,
        pytest.raises(Exhausted, match=r" \(after 1 attempts\)$"),
    ):
        ask(endpoints, {})


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"base_urls": ()}, "base_urls is empty"),
        ({"base_urls": ("127.0.0.1:8000",)}, "which cannot be used; wants http://host:port"),
        ({"base_urls": ("http://[::1",)}, "which cannot be used"),
        ({"base_urls": ("http://host..net",)}, "which cannot be used"),
        ({"base_urls": ("http://me:secret@host",)}, "credentials or a query for host; put a token"),
        ({"base_urls": ("http://secret@host/v1",)}, "credentials or a query for host"),
        ({"base_urls": ("http://me:secret@host:port",)}, "has 'http://host:port', which cannot"),
        ({"base_urls": ("http://me:sec/secret@host",)}, "has 'http://host', which cannot be used"),
        ({"base_urls": ("http://host/v1?key=secret",)}, "credentials or a query for host"),
        ({"base_urls": ("http://host/#secret",)}, "credentials or a query for host"),
        ({"base_urls": ("http://a", "http://a")}, "name each server once"),
        ({"max_concurrency": 0}, "max_concurrency is 0; wants 1 or more"),
        ({"max_answer_bytes": 0}, "max_answer_bytes is 0"),
        ({"deadline_seconds": float("nan")}, "deadline_seconds is nan"),
        ({"quarantine_seconds": float("inf")}, "quarantine_seconds is inf"),
        ({"backoff_seconds": (2.0, 1.0)}, r"backoff_seconds is \(2.0, 1.0\)"),
    ],
)
def test_what_cannot_be_is_named(wrong, says):
    with pytest.raises(ValueError, match=says) as raised:
        EndpointsConfig(**({"base_urls": ("http://a",)} | wrong))
    assert "secret" not in str(raised.value)
