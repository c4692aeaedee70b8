"""The HTTP client against real servers that misbehave by a script."""

import base64
import io
import json
import random
import socket
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.tools.painting import Painter, as_base64, as_png, paint, serving
from tests.tools.picture_server import Answer, answering, picture_answer, right

from genagent_tools import (
    BatchConfig,
    DrawSettings,
    HttpImageTool,
    HttpToolConfig,
    PartialFailure,
    ToolError,
)


def tool_for(*servers, **changes):
    urls = tuple(server if isinstance(server, str) else server.url for server in servers)
    quick = {"backoff_seconds": 0.01, "timeout_seconds": 20.0, "deadline_seconds": 60.0}
    return HttpImageTool(HttpToolConfig(base_urls=urls, **{**quick, **changes}))


def drawn(tool, prompts, seeds):
    """What the tool drew, as pixels."""
    return [picture.tobytes() for picture in tool.generate(prompts, seeds)]


def expected(prompts, seeds):
    return [paint(p, s).tobytes() for p, s in zip(prompts, seeds, strict=True)]


def dead_url():
    """Where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        return f"http://127.0.0.1:{gone.getsockname()[1]}"


def first_then_right(*answers):
    """A script that starts with these answers."""
    return lambda body, number: answers[number] if number < len(answers) else right(body, number)


@settings(max_examples=15, deadline=None)
@given(
    calls=st.lists(
        st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2**31)), max_size=6),
        min_size=1,
        max_size=4,
    ),
    max_batch=st.integers(1, 5),
    workers=st.integers(1, 2),
)
def test_any_mixture_of_calls_gets_its_own_pictures_from_the_real_server(calls, max_batch, workers):
    batching = BatchConfig(max_batch=max_batch, max_wait_ms=2.0, max_queue=8)
    found = {}
    with (
        serving([Painter() for _ in range(workers)], batching=batching) as url,
        tool_for(url, max_concurrency=7) as tool,
    ):

        def call(index):
            found[index] = drawn(tool, *split(calls[index]))

        threads = [threading.Thread(target=call, args=(index,)) for index in range(len(calls))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == {index: expected(*split(pairs)) for index, pairs in enumerate(calls)}


def split(pairs):
    return [prompt for prompt, _ in pairs], [seed for _, seed in pairs]


def test_answers_find_their_prompts_in_whatever_order_they_come():
    pauses = random.Random(0)

    def script(body, number):
        time.sleep(pauses.uniform(0, 0.1))
        return right(body, number)

    prompts, seeds = [f"p{i}" for i in range(40)], list(range(40))
    with answering(script) as server, tool_for(server, max_concurrency=8) as tool:
        assert drawn(tool, prompts, seeds) == expected(prompts, seeds)
        assert 4 <= server.most_at_once <= 8
    assert tool.counts.pictures == 40


def test_the_least_loaded_server_is_asked():
    release = threading.Event()

    def slow(body, number):
        release.wait(20)
        return right(body, number)

    with answering(slow) as stuck, answering() as free, tool_for(stuck, free) as tool:
        threading.Timer(0.5, release.set).start()
        assert drawn(tool, ["x"] * 30, range(30)) == expected(["x"] * 30, range(30))
    assert len(stuck.requests) + len(free.requests) == 30
    assert len(stuck.requests) <= 16


@pytest.mark.parametrize(
    "trouble",
    [
        Answer(status=500, body=b'{"error": {"message": "out of memory"}}'),
        Answer(status=502, body=b"<html>"),
        Answer(status=503),
        Answer(status=408),
        Answer(status=425),
        Answer(status=302, headers={"Location": "http://127.0.0.1:1/"}),
        Answer(body=b"{not json"),
        Answer(body=b"[" * 100_000),
        Answer(body=b"[]"),
        Answer(body=b'{"data": []}'),
        Answer(body=b'{"data": [{"b64_json": null, "url": null}]}'),
        Answer(body=b'{"data": [{"b64_json": "%%%"}]}'),
        Answer(body=b'{"data": [{"b64_json": "aGVsbG8="}]}'),
        Answer(body=b'{"data": [{"b64_json": "aGVs', length=500),
        picture_answer("x", 5, b64_json=as_base64(paint("x", 5)), seed=6),
        picture_answer("x", 5, b64_json=base64.b64encode(as_png(paint("x", 5))[:-30]).decode()),
    ],
    ids=lambda answer: f"{answer.status}-{answer.body[:24].decode()}",
)
def test_what_may_pass_is_tried_again(trouble):
    with answering(first_then_right(trouble, trouble)) as server, tool_for(server) as tool:
        assert drawn(tool, ["x"], [5]) == expected(["x"], [5])
        assert tool.counts.failures == 2
    assert len(server.requests) == 3


def test_a_picture_with_one_flipped_bit_is_not_taken():
    data = bytearray(as_png(Image.new("RGB", (16, 16), "red")))
    data[data.index(b"IDAT") + 12] ^= 1
    broken = picture_answer("x", 5, b64_json=base64.b64encode(bytes(data)).decode())
    with answering(first_then_right(broken)) as server, tool_for(server) as tool:
        assert drawn(tool, ["x"], [5]) == expected(["x"], [5])
        assert tool.counts.failures == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_refusals_are_final_and_quoted(status):
    refusal = Answer(status=status, body=b'{"error": {"message": "the prompt is\\ntoo rude"}}')
    with answering(lambda body, number: refusal) as server, tool_for(server) as tool:
        with pytest.raises(ToolError, match=f"{server.url}/v1.*: {status} the prompt is too rude"):
            tool.generate(["x"], [1])
        assert len(server.requests) == 1


def test_retry_after_is_honoured_and_is_no_failure():
    asked = []

    def script(body, number):
        asked.append(time.monotonic())
        return first_then_right(Answer(status=429, headers={"Retry-After": "1"}))(body, number)

    with answering(script) as server, tool_for(server, attempts=1) as tool:
        assert drawn(tool, ["x"], [5]) == expected(["x"], [5])
        assert (tool.counts.waits, tool.counts.failures) == (1, 0)
    assert 1.0 <= asked[1] - asked[0] < 5.0


def test_a_busy_server_is_left_alone_while_another_is_free():
    busy = Answer(status=503, headers={"Retry-After": "30"})
    with (
        answering(lambda body, number: busy) as first,
        answering() as second,
        tool_for(first, second, max_concurrency=1) as tool,
    ):
        started = time.monotonic()
        assert drawn(tool, ["x"] * 9, range(9)) == expected(["x"] * 9, range(9))
        assert time.monotonic() - started < 10
    assert len(first.requests) == 1
    assert len(second.requests) == 9


def test_a_wait_beyond_the_deadline_is_not_waited():
    busy = Answer(status=429, headers={"Retry-After": "3600"}, body=b'{"detail": "queue full"}')
    with (
        answering(lambda body, number: busy) as server,
        tool_for(server, deadline_seconds=5.0) as tool,
    ):
        started = time.monotonic()
        with pytest.raises(ToolError, match=r"no picture within 5 s; .*429 queue full"):
            tool.generate(["x"], [1])
        assert time.monotonic() - started < 3


def test_a_dead_server_is_quarantined_and_asked_again_later():
    with answering() as alive, socket.create_server(("127.0.0.1", 0)) as place:
        port = place.getsockname()[1]
        place.close()
        options = {"quarantine_after": 2, "quarantine_seconds": 3.0, "max_concurrency": 4}
        with tool_for(f"http://127.0.0.1:{port}", alive, **options) as tool:
            assert drawn(tool, ["x"] * 40, range(40)) == expected(["x"] * 40, range(40))
            assert tool.counts.quarantines >= 1
            assert tool.counts.failures <= 12
            with answering(port=port) as risen:
                time.sleep(3.2)
                assert drawn(tool, ["y"] * 20, range(20)) == expected(["y"] * 20, range(20))
                assert len(risen.requests) >= 3


def test_one_picture_that_fails_everywhere_does_not_quarantine_the_server():
    def script(body, number):
        return Answer(status=500) if body["prompt"] == "bad" else right(body, number)

    with answering(script) as server, tool_for(server, attempts=5) as tool:
        with pytest.raises(PartialFailure) as failed:
            tool.generate(["a", "bad", "c"], [1, 2, 3])
        assert tool.counts.quarantines == 0
    first, second, third = failed.value.results
    assert [first.tobytes(), third.tobytes()] == expected(["a", "c"], [1, 3])
    assert isinstance(second, ToolError)
    assert "5 attempts failed; the last: " in str(second)
    assert str(failed.value).startswith("1 of 3 pictures failed; the first: 5 attempts failed")


def test_nobody_there_names_the_last_reason():
    with (
        tool_for(dead_url(), attempts=3) as tool,
        pytest.raises(ToolError, match=r"3 attempts failed; the last: http://127.*ConnectError"),
    ):
        tool.generate(["x"], [1])


def test_a_hanging_server_is_given_up_and_its_late_answer_is_no_second_picture():
    late = threading.Event()

    def script(body, number):
        if number == 0:
            late.wait(10)
            return picture_answer("late", 1)
        return right(body, number)

    with answering(script) as server, tool_for(server, timeout_seconds=0.3) as tool:
        assert drawn(tool, ["x"], [5]) == expected(["x"], [5])
        late.set()
        assert drawn(tool, ["y"], [6]) == expected(["y"], [6])
        assert tool.counts.pictures == 2
        assert tool.counts.failures == 1


def test_a_trickle_does_not_outlast_the_deadline():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def trickle():
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                for _ in range(100):
                    try:
                        connection.sendall(b" ")
                    except OSError:
                        return
                    time.sleep(0.05)

        thread = threading.Thread(target=trickle)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with tool_for(url, timeout_seconds=0.5, attempts=1) as tool:
            started = time.monotonic()
            with pytest.raises(ToolError, match=r"no answer within 0\.5 s"):
                tool.generate(["x"], [1])
            assert time.monotonic() - started < 3
        thread.join()


def test_urls_are_fetched_from_the_server_itself_and_as_data():
    def script(body, number):
        data = base64.b64encode(as_png(paint(body["prompt"], body["seed"]))).decode()
        own = f"/pictures/{body['prompt']}/{body['seed']}"
        full = f"http://127.0.0.1:{server.server_address[1]}{own}"
        url = (own, full, f"data:image/png;base64,{data}")[number]
        return picture_answer("", 0, url=url)

    with answering(script) as server, tool_for(server) as tool:
        for number in range(3):
            assert drawn(tool, ["x"], [number]) == expected(["x"], [number])
    assert server.fetched == ["/pictures/x/0", "/pictures/x/1"]


def test_urls_of_other_hosts_are_fetched_only_when_allowed_and_without_the_key(monkeypatch):
    monkeypatch.setenv("TOOL_KEY", "secret")
    with answering() as other:
        elsewhere = f"{other.url}/pictures/x/5"
        script = lambda body, number: picture_answer("", 0, url=elsewhere)  # noqa: E731
        with answering(script) as server:
            host = other.url.removeprefix("http://")
            with (
                tool_for(server, api_key_env="TOOL_KEY") as tool,
                pytest.raises(ToolError, match=f"the picture is at {host}; add that to url_hosts"),
            ):
                tool.generate(["x"], [5])
            with tool_for(server, api_key_env="TOOL_KEY", url_hosts=(host,)) as tool:
                assert drawn(tool, ["x"], [5]) == expected(["x"], [5])
    assert server.keys == ["Bearer secret"] * 2
    assert other.keys == [None]


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("file:///etc/passwd", "the picture is at None:None"),
        ("http://[::1", "the picture's URL cannot be read"),
        ("http://127.0.0.1:x/", "the picture's URL cannot be read"),
        ("//example.org/x.png", "the picture is at example.org:80"),
    ],
)
def test_urls_that_are_none_of_ours_are_not_followed(url, says):
    script = lambda body, number: picture_answer("", 0, url=url)  # noqa: E731
    with (
        answering(script) as server,
        tool_for(server, attempts=2) as tool,
        pytest.raises(ToolError, match=says),
    ):
        tool.generate(["x"], [5])


def test_huge_answers_and_huge_pictures_are_refused():
    bomb = picture_answer("", 0, b64_json=as_base64(Image.new("1", (3000, 3000))))
    flood = Answer(body=b" " * 100_000)
    for answer, says in ((bomb, "3000x3000 pixels, over 4096"), (flood, "over 50000 bytes")):
        with (
            answering(lambda body, number, answer=answer: answer) as server,
            tool_for(server, max_pixels=4096, max_answer_bytes=50_000, attempts=1) as tool,
            pytest.raises(ToolError, match=says),
        ):
            tool.generate(["x"], [5])


def test_jpegs_are_taken_and_gifs_are_not():
    picture = Image.new("RGB", (16, 16), (200, 30, 30))
    entries = []
    for kind in ("JPEG", "GIF"):
        buffer = io.BytesIO()
        picture.save(buffer, format=kind)
        entries.append(base64.b64encode(buffer.getvalue()).decode())
    script = lambda body, number: picture_answer("", 0, b64_json=entries[min(number, 1)])  # noqa: E731
    with answering(script) as server, tool_for(server, attempts=1) as tool:
        [red] = tool.generate(["x"], [1])
        assert red.getpixel((8, 8)) == pytest.approx((200, 30, 30), abs=3)
        with pytest.raises(ToolError, match="cannot be decoded"):
            tool.generate(["x"], [1])


def test_a_picture_of_another_size_is_an_error():
    with (
        answering() as server,
        tool_for(server, settings=DrawSettings(width=32, height=32)) as tool,
        pytest.raises(ToolError, match=r"asked for \(32, 32\) pixels, was given \(16, 16\)"),
    ):
        tool.generate(["x"], [1])


@pytest.mark.parametrize(
    ("dialect", "changes", "sent"),
    [
        (
            "openai",
            {"model": "gpt", "settings": DrawSettings(width=16, height=16)},
            {"model": "gpt", "size": "16x16"},
        ),
        (
            "vllm-omni",
            {
                "settings": DrawSettings(
                    width=16, height=16, steps=8, guidance=3.5, negative_prompt=" "
                ),
                "true_cfg": 4.0,
            },
            {
                "size": "16x16",
                "seed": 5,
                "num_inference_steps": 8,
                "guidance_scale": 3.5,
                "true_cfg_scale": 4.0,
                "negative_prompt": " ",
            },
        ),
        (
            "sglang",
            {
                "settings": DrawSettings(width=16, height=16, steps=8),
                "extra": {"generator_device": "cpu"},
            },
            {
                "size": "16x16",
                "width": 16,
                "height": 16,
                "seed": 5,
                "num_inference_steps": 8,
                "generator_device": "cpu",
            },
        ),
        ("genagent", {}, {"seed": 5}),
    ],
)
def test_each_dialect_sends_what_its_servers_know(dialect, changes, sent):
    with (
        answering(lambda body, number: picture_answer("x", 5)) as server,
        tool_for(server.url + "/v1/", dialect=dialect, **changes) as tool,
    ):
        assert drawn(tool, ["x"], [5]) == expected(["x"], [5])
    assert server.requests == [{"prompt": "x", "n": 1, "response_format": "b64_json", **sent}]


def test_our_own_server_takes_every_field_it_is_sent():
    look = DrawSettings(width=32, height=16, steps=2, guidance=1.5, negative_prompt="blue")
    painter = Painter()
    with serving(painter) as url, tool_for(url, settings=look, model="painter") as tool:
        [picture] = tool.generate(["x"], [5])
    seen = DrawSettings(width=32, steps=2, guidance=1.5, negative_prompt="blue")
    assert picture.tobytes() == paint("x", 5, seen).tobytes()


def test_a_full_queue_only_delays():
    batching = BatchConfig(max_batch=2, max_wait_ms=0.0, max_queue=2)
    with serving(Painter(), batching=batching) as url, tool_for(url, max_concurrency=12) as tool:
        assert drawn(tool, ["x"] * 24, range(24)) == expected(["x"] * 24, range(24))
        assert tool.counts.failures == 0


def test_nothing_asked_nothing_sent():
    with tool_for(dead_url()) as tool:
        assert tool.generate([], []) == []


def test_prompts_and_seeds_must_match_and_a_closed_tool_says_so():
    tool = tool_for(dead_url())
    with pytest.raises(ValueError, match="2 prompts but 1 seeds"):
        tool.generate(["a", "b"], [1])
    tool.close()
    tool.close()
    with pytest.raises(ValueError, match="the tool is closed"):
        tool.generate(["a"], [1])


def test_a_token_is_read_from_the_environment(monkeypatch):
    monkeypatch.delenv("TOOL_KEY", raising=False)
    with pytest.raises(ValueError, match="the environment variable TOOL_KEY is not set"):
        tool_for(dead_url(), api_key_env="TOOL_KEY")
    token = "a-token-long-enough"
    monkeypatch.setenv("TOOL_KEY", token)
    with serving(Painter(), token=token) as url:
        with tool_for(url, api_key_env="TOOL_KEY") as tool:
            assert drawn(tool, ["x"], [5]) == expected(["x"], [5])
        with tool_for(url) as tool, pytest.raises(ToolError, match=r"401 .*as api_key_env"):
            tool.generate(["x"], [5])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"base_urls": ()}, "base_urls is empty"),
        ({"base_urls": ("localhost:8000",)}, "'localhost:8000' cannot be used"),
        ({"base_urls": ("http://[::1",)}, "cannot be used; wants http://host:port"),
        ({"base_urls": ("http://host:port",)}, "cannot be used"),
        ({"dialect": "klingon"}, "dialect is 'klingon'; known: genagent, openai"),
        (
            {"dialect": "openai", "settings": DrawSettings(steps=4)},
            "'openai' has no num_inference_steps",
        ),
        ({"dialect": "openai", "true_cfg": 2.0}, "'openai' has no true_cfg_scale"),
        ({"settings": DrawSettings(width=16)}, "width and height go together"),
        ({"max_concurrency": 0}, "max_concurrency is 0"),
        ({"timeout_seconds": 0.0}, "timeout_seconds is 0.0"),
        ({"backoff_seconds": -1.0}, "backoff_seconds is -1.0"),
    ],
)
def test_impossible_configurations_are_named(changes, says):
    with pytest.raises(ValueError, match=says):
        HttpToolConfig(**changes)


def test_answers_are_json_with_one_picture_each():
    two = json.loads(right({"prompt": "x", "seed": 1}, 0).body)
    two["data"] *= 2
    answer = Answer(body=json.dumps(two).encode())
    with (
        answering(lambda body, number: answer) as server,
        tool_for(server, attempts=1) as tool,
        pytest.raises(ToolError, match="holds not one picture"),
    ):
        tool.generate(["x"], [1])
