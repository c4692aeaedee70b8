"""The door of our own servers: who holds connections, says nothing, trickles, or does not read."""

import contextlib
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image
from tests.hostile.knocking import HEAD_SECONDS, POST, call, get, hear, is_well
from tests.tools.painting import Painter, ask, paint, pictures, serving

from genagent_tools import BatchConfig, ServerConfig
from genagent_tools.server import bind, listen


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
    # A batch leaves when it is full, and so says that all three are being answered; who knocked
    # before would send away one whose request has not been read.
    together = BatchConfig(max_batch=3, max_wait_ms=60_000)
    with (
        serving(painter, max_connections=3, batching=together) as url,
        ThreadPoolExecutor(3) as pool,
    ):
        asked = [pool.submit(ask, url, seed=seed) for seed in range(3)]
        assert painter.busy.wait(60)
        # An answer that is sent before it is asked for may go down with the connection.
        said = {get(url, "/healthz")[:12] for _ in range(10)}
        assert b"HTTP/1.1 503" in said <= {b"HTTP/1.1 503", b""}
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
