"""The door of our own servers, before any token is asked for: heads, connections, names, bodies."""

import contextlib
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.tools.painting import (
    GENERATIONS,
    SERVED,
    TOKEN,
    Painter,
    ask,
    paint,
    pictures,
    serving,
    until,
)

from genagent_tools import BatchConfig, ServerConfig
from genagent_tools.server import bind, listen
from genagent_tools.server.connection import MAX_HEAD, MAX_HEADERS

HEAD_SECONDS = 0.5


@pytest.fixture(scope="module")
def url():
    """A server with a token, which none of these callers has."""
    with serving(Painter(), token=TOKEN, head_seconds=HEAD_SECONDS, body_seconds=2.0) as running:
        yield running


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


POST = f"POST {GENERATIONS} HTTP/1.1\r\nHost: localhost\r\n".encode()


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


def test_who_says_nothing_or_never_ends_its_head_is_hung_up_on(url):
    starts = [b"", b"GET", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX:"]
    # The first request is answered, the second one never comes to its end.
    starts.append(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /he")
    with contextlib.ExitStack() as stack:
        callers = [stack.enter_context(call(url)) for _ in range(10) for _ in starts]
        for number, caller in enumerate(callers):
            caller.sendall(starts[number % len(starts)])
        started = time.monotonic()
        said = [hear(caller) for caller in callers]
        assert time.monotonic() - started < 10 * HEAD_SECONDS
    assert {answer[:12] for answer in said[0::4]} == {b""}
    assert {answer[:12] for answer in said[1::4]} <= {b"HTTP/1.1 408"}
    assert {answer[:12] for answer in said[2::4]} == {b"HTTP/1.1 408"}
    assert all(b"HTTP/1.1 200" in answer and b"HTTP/1.1 408" in answer for answer in said[3::4])
    assert is_well(url)


def test_bytes_that_trickle_do_not_keep_a_head_open(url):
    with call(url) as slow:
        started = time.monotonic()
        with contextlib.suppress(OSError):
            while time.monotonic() - started < 20:
                slow.sendall(b"G" if time.monotonic() - started < 0.01 else b"x")
                time.sleep(HEAD_SECONDS / 5)
        assert time.monotonic() - started < 10 * HEAD_SECONDS


def test_the_body_of_who_is_turned_away_is_not_listened_to_for_ever(url):
    sent, said = 0, b""
    with call(url) as endless:
        endless.sendall(POST + b"Content-Length: 1000000\r\n\r\n")
        started = time.monotonic()
        with contextlib.suppress(OSError):
            while time.monotonic() - started < 20:
                endless.sendall(b"x")
                sent += 1
                time.sleep(0.05)
        assert time.monotonic() - started < 10
        said = hear(endless)
    assert said.startswith(b"HTTP/1.1 401") or said == b""


def test_newcomers_are_let_in_though_others_hold_every_connection():
    with serving(Painter(), max_connections=20) as url, contextlib.ExitStack() as stack:
        idle = [stack.enter_context(call(url)) for _ in range(100)]
        assert all(is_well(url) for _ in range(5))
        assert pictures(ask(url, seed=3)) == [paint("a circle", 3).tobytes()]
        closed = 0
        for one in idle:
            one.settimeout(0.01)
            with contextlib.suppress(TimeoutError):
                closed += hear(one) == b""
        assert closed >= 80


def test_who_is_being_answered_is_not_hung_up_on_for_newcomers():
    painter = Painter(waiting=True)
    with (
        serving(painter, max_connections=3, batching=BatchConfig(max_batch=1)) as url,
        ThreadPoolExecutor(4) as pool,
    ):
        asked = [pool.submit(ask, url, seed=seed) for seed in range(3)]
        # An answer that is sent before it is asked for may go down with the connection.
        until(lambda: get(url, "/healthz")[:12] in (b"HTTP/1.1 503", b""))
        painter.go.set()
        drawn = {pictures(one.result(30))[0] for one in asked}
    assert drawn == {paint("a circle", seed).tobytes() for seed in range(3)}


FEW_FILES = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
from tests.tools.painting import Painter, serving
with serving(Painter(), port=int(sys.argv[1])) as url:
    print(url, flush=True)
    sys.stdin.read()
"""


def test_idle_connections_do_not_starve_a_process_of_few_files():
    process = subprocess.Popen(
        [sys.executable, "-c", FEW_FILES, "0"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    with contextlib.ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(call(url))
        assert is_well(url)
        assert pictures(ask(url, seed=3)) == [paint("a circle", 3).tobytes()]
    _, said = process.communicate("")
    assert process.returncode == 0
    assert said == ""


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


KNOWN = ["localhost", "localhost:8000", "127.0.0.1", "127.0.0.1:1", "127.9.9.9", "[::1]:80"]
NAMES = st.from_regex(r"\A[a-z.-]{1,20}(:[0-9]{1,5})?\Z").filter(
    lambda name: name[:9] != "localhost"
)


@settings(max_examples=50)
@given(host=st.sampled_from([*KNOWN, "evil.example", "localhost.evil.example", "[::2]"]) | NAMES)
def test_without_a_token_only_loopbacks_own_names_are_answered_to(open_url, host):
    status = get(open_url, "/v1/models", host=host)[9:12]
    assert status == (b"200" if host in KNOWN else b"421")


@pytest.fixture(scope="module")
def open_url():
    with serving(Painter()) as running:
        yield running


def test_pages_from_elsewhere_may_not_ask(open_url):
    body = {"prompt": "x", "seed": 1}
    for origin, status in (
        ("http://evil.example", 403),
        ("null", 403),
        ("http://localhost:3000", 200),
        ("http://[", 403),
    ):
        answer = httpx.post(open_url + GENERATIONS, json=body, headers={"origin": origin})
        assert answer.status_code == status
    answer = httpx.post(
        open_url + GENERATIONS, content='{"prompt": "x"}', headers={"content-type": "text/plain"}
    )
    # A page may send this without being asked first.
    assert answer.status_code == 422


def test_a_proxy_calls_it_by_the_names_that_it_was_given():
    with serving(Painter(), allowed_hosts=("pictures.example",)) as url:
        for host, status in (("pictures.example:80", 200), ("other.example", 421)):
            assert httpx.get(url + "/v1/models", headers={"host": host}).status_code == status


def test_with_a_token_it_may_be_called_by_any_name(url):
    answer = httpx.get(
        url + "/v1/models", headers={"host": "any.example", "authorization": f"Bearer {TOKEN}"}
    )
    assert answer.status_code == 200


@pytest.mark.parametrize("name", ["", "a:80", "http://a", "*.example", "Upper.example"])
def test_a_name_that_no_host_has_is_named(name):
    with pytest.raises(ValueError, match=r"allowed_hosts has .*; wants a name as example.org"):
        ServerConfig(allowed_hosts=(name,))


def test_a_pipeline_that_wants_to_exit_costs_its_picture():
    class Exits(Painter):
        def draw(self, prompts, seeds, settings):
            if any(prompt.startswith("exit") for prompt in prompts):
                raise SystemExit("enough \x1b[2J")
            return super().draw(prompts, seeds, settings)

    with serving(Exits(), batching=BatchConfig(max_batch=4, max_wait_ms=50.0)) as url:
        with ThreadPoolExecutor(3) as pool:
            answers = list(pool.map(lambda p: ask(url, prompt=p, seed=3), ["one", "exit", "two"]))
        assert [answer.status_code for answer in answers] == [200, 500, 200]
        assert "SystemExit: enough" in answers[1].json()["error"]["message"]
        assert is_well(url)
        assert pictures(ask(url, seed=4)) == [paint("a circle", 4).tobytes()]


def test_requests_together_are_no_larger_than_one_may_be():
    painter = Painter()
    batching = BatchConfig(max_batch=64, max_wait_ms=300.0)
    with serving(painter, batching=batching) as url, ThreadPoolExecutor(6) as pool:
        ask(url)
        large = [pool.submit(ask, url, size="2048x1024", seed=seed) for seed in range(5)]
        assert all(one.result(60).status_code == 200 for one in large)
    sizes = [len(prompts) for prompts, look in painter.batches if look.width == 2048]
    # 4 MiB of pixels are two of these.
    assert sum(sizes) == 5 and max(sizes) == 2
    assert SERVED.pixel_limit == 4 << 20


def test_one_port_is_taken_once():
    config = ServerConfig(port=0)
    first = bind(config)
    port = first.getsockname()[1]
    with pytest.raises(ValueError, match=f"cannot listen on 127.0.0.1:{port}"):
        bind(ServerConfig(port=port))
    listen(first)
    with pytest.raises(ValueError, match="choose another --host or --port"):
        bind(ServerConfig(port=port))
    # Connections that it had do not keep it from being started again at once.
    with socket.create_connection(("127.0.0.1", port)):
        served, _ = first.accept()
        served.close()
        first.close()
        again = bind(ServerConfig(port=port))
        listen(again)
        again.close()


def test_a_client_that_does_not_read_is_hung_up_on(monkeypatch):
    class Large(Painter):
        def draw(self, prompts, seeds, settings):
            return [Image.effect_noise((512, 512), 80).convert("RGB") for _ in prompts]

    def narrow(config: ServerConfig) -> socket.socket:
        listener = bind(config)
        # Else the kernel takes megabytes.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        return listener

    monkeypatch.setattr("tests.tools.painting.bind", narrow)
    monkeypatch.setattr("genagent_tools.server.connection.STALL_SECONDS", 0.3)
    body = b'{"prompt": "x"}'
    with serving(Large()) as url:
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            host, port = url.removeprefix("http://").split(":")
            deaf.connect((host, int(port)))
            deaf.sendall(
                POST + b"Content-Type: application/json\r\nContent-Length: 15\r\n\r\n" + body
            )
            started = time.monotonic()
            with pytest.raises(OSError):
                while time.monotonic() - started < 20:
                    time.sleep(0.1)
                    deaf.sendall(b"G")
        assert is_well(url)


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
