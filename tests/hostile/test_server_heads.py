"""The door of our own servers, before any token is asked for: heads, lengths, whatever comes."""

import contextlib
import socket
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.hostile.knocking import POST, call, flood, hear, is_well
from tests.tools.painting import GENERATIONS, Painter, serving

from genagent_tools.server.connection import MAX_HEAD, MAX_HEADERS


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"GET /healthz HTTP/1.1\r\nX: ", b"y" * 65536),
        (b"GET /healthz HTTP/1.1\r\n", b"X: y\r\n" * 10_000),
        (b"GET /", b"a" * 65536),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\nX: ", b"y" * 65536),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n", b"X: y\r\n" * 10_000),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n1;x=", b"y" * 65536),
    ],
    ids=["header", "headers", "path", "trailer", "trailers", "extension"],
)
def test_a_head_without_end_is_cut_off_early(url, start, piece):
    sent, said = flood(url, start, piece)
    # What the kernels of both ends hold is megabytes; the server took 64 KB.
    assert sent < 32 << 20
    assert said[:12] in (b"", b"HTTP/1.1 431", b"HTTP/1.1 401", b"HTTP/1.1 400")
    assert is_well(url)


def test_a_head_may_be_just_as_large_as_is_allowed(url):
    for more, status in ((MAX_HEADERS - 1, b"200"), (MAX_HEADERS, b"431")):
        with call(url) as connection:
            lines = b"".join(b"X-%d: y\r\n" % number for number in range(more))
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + lines + b"\r\n")
            assert connection.recv(12) == b"HTTP/1.1 " + status
    for size, status in ((MAX_HEAD - 200, b"200"), (MAX_HEAD + 1, b"431")):
        with call(url) as connection:
            head = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * size + b"\r\n\r\n"
            connection.sendall(head)
            assert connection.recv(12) == b"HTTP/1.1 " + status


@settings(max_examples=60)
@given(
    st.binary(max_size=300)
    | st.builds(
        lambda method, path, lines: method + b" " + path + b" HTTP/1.1\r\n" + lines + b"\r\n\r\n",
        st.sampled_from([b"GET", b"POST", b"CONNECT", b"OPTIONS", b"\xff"]),
        st.sampled_from([GENERATIONS.encode(), b"/healthz", b"*", b"//", b"/%ff", b"http://x/"]),
        st.lists(
            st.sampled_from(
                [
                    b"Host: localhost",
                    b"Content-Length: " + b"0" * 5000 + b"5",
                    b"Content-Length: " + b"9" * 5000,
                    b"Content-Length: -1",
                    b"Content-Length: 5",
                    b"Transfer-Encoding: chunked",
                    b"Transfer-Encoding: \xff",
                    b"Upgrade: websocket\r\nConnection: upgrade",
                    b"Expect: 100-continue",
                    b"Authorization: \xff\xfe",
                    b"Host: \xff",
                    b": x",
                ]
            ),
            max_size=4,
        ).map(b"\r\n".join),
    )
)
def test_whatever_comes_the_server_answers_the_next_one(url, said):
    with call(url) as connection:
        connection.sendall(said)
        connection.shutdown(socket.SHUT_WR)
        heard = hear(connection)
    assert b" 500 " not in heard[:20]
    assert heard == b"" or heard.startswith(b"HTTP/1.1 ")
    assert is_well(url)


@pytest.mark.parametrize("digits", [b"9" * 5000, b"0" * 5000 + b"5", b"1" * 21])
def test_an_endless_length_is_refused_in_one_line(digits, capfd):
    with serving(Painter()) as url:
        with call(url) as connection:
            connection.sendall(POST + b"Content-Length: " + digits + b"\r\n\r\n")
            connection.shutdown(socket.SHUT_WR)
            assert hear(connection)[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 413")
        assert is_well(url)
    assert "Traceback" not in capfd.readouterr().err


def test_many_slow_ones_at_once_leave_the_server_quick(url):
    stop = threading.Event()

    def pester() -> None:
        while not stop.is_set():
            with contextlib.suppress(OSError), call(url) as one:
                one.sendall(b"GET /healthz HTTP/1.1\r\n" + b"X: y\r\n" * 5000)
                one.recv(100)

    threads = [threading.Thread(target=pester) for _ in range(8)]
    for thread in threads:
        thread.start()
    try:
        # 5.8 s for one of these, once.
        for _ in range(5):
            started = time.monotonic()
            assert is_well(url)
            assert time.monotonic() - started < 3
    finally:
        stop.set()
        for thread in threads:
            thread.join()
