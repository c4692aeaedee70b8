"""The door of image servers: whatever one says, a picture or a failed call."""

import asyncio
import base64
import json
import threading
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from PIL import Image
from tests.hostile.drawn import HEADERS, JSONS, PNGS, STATUSES, URLS
from tests.hostile.raw_server import RawServer, answer, raw_server
from tests.picture_server import as_png, paint, tool_for

from genagent_data import Request, Trajectory, trajectory_to_row
from genagent_endpoints import Lost
from genagent_tools import HttpImageTool, ToolError
from genagent_tools.http_picture import decode_data_url, decode_picture

TOKEN = "token-hostile-0123456789"


@pytest.fixture(scope="module")
def server():
    with raw_server() as running:
        yield running


@pytest.fixture(scope="module")
def tool(server: RawServer):
    with client(server) as running:
        yield running


def client(server: RawServer, **changes) -> HttpImageTool:
    quick = {"max_attempts": 1, "timeout_seconds": 10.0, "deadline_seconds": 0.5}
    return tool_for(server.url, **{**quick, "quarantine_seconds": 0.001, **changes})


def drawn_or_failed(tool: HttpImageTool) -> Image.Image | ToolError:
    try:
        [picture] = tool.generate(["x"], [5])
    except ToolError as error:
        # As it goes into the trajectory, which is written as UTF-8.
        request = Request(id="1", prompt="x")
        kept = Trajectory(request=request, rounds=(), ending="tool_failure", error=str(error))
        json.dumps(trajectory_to_row(kept), ensure_ascii=False).encode()
        assert str(error).isprintable()
        assert len(str(error)) < 2000
        return error
    return picture


@settings(max_examples=70)
@given(status=STATUSES, headers=HEADERS, body=JSONS)
def test_no_answer_is_more_than_a_failed_call(server, tool, status, headers, body):
    server.says = answer(body, status=status, headers=headers)
    assert isinstance(drawn_or_failed(tool), ToolError)


@settings(max_examples=50)
@given(URLS)
def test_no_url_is_followed_away(server, tool, url):
    body = json.dumps({"data": [{"url": url}]}).encode()
    server.says = answer(body)
    assert isinstance(drawn_or_failed(tool), ToolError)


@settings(max_examples=70)
@given(PNGS)
def test_a_drawn_png_is_a_bounded_picture_or_lost(content):
    try:
        picture = decode_picture(content, 1 << 20)
    except Lost as error:
        assert str(error)
    else:
        assert picture.mode == "RGB"
        assert picture.width * picture.height <= 1 << 20


def test_percent_encoding_is_bounded_and_off_the_loop(server):
    """16 megabytes of it once took 7.8 GB and 37 s, in which no time-out could strike."""
    body = json.dumps({"data": [{"url": "data:image/png," + "%41" * 5_000_000}]}).encode()
    server.says = answer(body)
    ticks = 0

    async def beat():
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    async def draw(tool: HttpImageTool) -> None:
        heart = asyncio.ensure_future(beat())
        with pytest.raises(ToolError, match="15000000 characters without base64"):
            await tool.draw_one("x", 5)
        heart.cancel()

    tracemalloc.start()
    try:
        with client(server, deadline_seconds=60.0) as tool:
            started = time.monotonic()
            asyncio.run(draw(tool))
        assert time.monotonic() - started < 20
        assert tracemalloc.get_traced_memory()[1] < 200 << 20
    finally:
        tracemalloc.stop()


def test_the_longest_percent_encoding_that_is_decoded_is_cheap():
    url = "data:image/png," + "%41" * (1024 * 1024 // 3)
    tracemalloc.start()
    try:
        assert len(decode_data_url(url)) == 1024 * 1024 // 3
        assert tracemalloc.get_traced_memory()[1] < 150 << 20
    finally:
        tracemalloc.stop()


def test_a_large_answer_is_decoded_beside_the_event_loop(server, tool, monkeypatch):
    threads = []

    def decode(url: str) -> bytes:
        threads.append(threading.current_thread().name)
        return decode_data_url(url)

    monkeypatch.setattr("genagent_tools.http_drawing.decode_data_url", decode)
    url = "data:image/png," + "%41" * 20_000
    server.says = answer(json.dumps({"data": [{"url": url}]}).encode())
    assert "cannot be decoded" in str(drawn_or_failed(tool))
    [name] = threads
    assert name.startswith("endpoints-work")


def test_an_endless_answer_is_read_as_far_as_it_is_allowed(server):
    server.sent = 0
    server.says = [b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", *[b"[" * (1 << 20)] * 200]
    with client(server, deadline_seconds=60.0, max_answer_bytes=4 << 20) as tool:
        failed = drawn_or_failed(tool)
    assert f"over {4 << 20} bytes" in str(failed)
    assert server.sent < 30 << 20


@pytest.mark.parametrize("status", [b"400 X", b"401 X", b"429 X", b"500 X"])
def test_an_echoed_token_is_struck_out_and_nothing_steers_the_terminal(server, monkeypatch, status):
    monkeypatch.setenv("TOOL_TOKEN", TOKEN)
    server.says = answer(
        f"no \x1b[2J {TOKEN} \x9b31m \ud83d".encode("utf-8", "replace"), status=status
    )
    with client(server, api_key_env="TOOL_TOKEN") as tool:
        failed = str(drawn_or_failed(tool))
    assert TOKEN not in failed
    assert TOKEN.encode() in server.asked[-1]


@pytest.mark.parametrize("status", [b"200 OK", b"401 X", b"500 X"])
def test_an_echoed_token_is_struck_out_where_its_echo_is_cut(server, monkeypatch, status):
    monkeypatch.setenv("TOOL_TOKEN", TOKEN)
    patience = {"deadline_seconds": 20.0, "quarantine_after": 1000}
    with client(server, api_key_env="TOOL_TOKEN", **patience) as tool:
        # Errors are quoted as far as 300 characters, answers without a picture as far as 80.
        for before in (*range(40, 80), *range(280, 300)):
            said = json.dumps({"x": "y" * before + TOKEN}).encode()
            server.says = answer(said, status=status, headers=[(b"Connection", b"close")])
            failed = str(drawn_or_failed(tool))
            assert "yyyy" in failed
            assert not any(TOKEN[:length] in failed for length in range(4, len(TOKEN) + 1))


def test_what_is_no_http_is_quoted_in_short(server, tool):
    server.says = [b"[" * 100_000]
    assert "Bad status line" in str(drawn_or_failed(tool))


def test_a_good_server_among_hostile_ones_draws_every_picture(server):
    """Each picture is asked for elsewhere until somebody draws it."""
    server.says = answer(b"[" * 100_000)
    good = base64.b64encode(as_png(paint("x", 5))).decode()
    with raw_server() as other:
        other.says = answer(json.dumps({"data": [{"b64_json": good}]}).encode())
        urls = (server.url, other.url)
        with tool_for(*urls, quarantine_seconds=0.01) as tool:
            pictures = tool.generate(["x"] * 40, [5] * 40)
    assert {picture.tobytes() for picture in pictures} == {paint("x", 5).tobytes()}
