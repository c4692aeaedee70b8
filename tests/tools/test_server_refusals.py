"""What the server turns away, in OpenAI's words: fields, bodies, strangers, too many pictures."""

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx
import pytest
from tests.tools.painting import (
    GENERATIONS,
    SERVED,
    TOKEN,
    Painter,
    ask,
    metric,
    paint,
    pictures,
    serving,
)
from tests.waiting import until

from genagent_tools import BatchConfig, DrawSettings, ServedModel, ToolProfile


def test_a_prompt_that_fails_fails_alone():
    batching = BatchConfig(max_batch=8, max_wait_ms=200.0)
    with serving(Painter(), batching=batching) as url, ThreadPoolExecutor(4) as pool:
        prompts = ["one", "bad", "two", "strange"]
        answers = list(pool.map(lambda prompt: ask(url, prompt=prompt, seed=3), prompts))
        assert metric(url, 'pictures_total{outcome="failed"}') == 2
    assert pictures(answers[0]) == [paint("one", 3).tobytes()]
    assert pictures(answers[2]) == [paint("two", 3).tobytes()]
    assert [answers[1].status_code, answers[3].status_code] == [500, 500]
    assert answers[1].json()["error"] == {
        "message": "the picture failed: cannot draw bad",
        "type": "server_error",
        "param": None,
        "code": "tool_failed",
    }
    assert "KeyError" in answers[3].json()["error"]["message"]


def test_a_full_queue_turns_away_and_says_when_to_come_back():
    painter = Painter(waiting=True)
    batching = BatchConfig(max_batch=1, max_wait_ms=0.0, max_queue=3)
    with serving(painter, batching=batching) as url, ThreadPoolExecutor(2) as pool:
        drawing = pool.submit(ask, url, seed=1)
        assert painter.busy.wait(10)
        queued = pool.submit(ask, url, seed=2, n=3)
        until(lambda: metric(url, "queue_depth") == 3)
        refused = ask(url, seed=9)
        assert httpx.get(url + "/healthz").json()["queue_depth"] == 3
        painter.go.set()
        assert pictures(drawing.result(30)) == [paint("a circle", 1).tobytes()]
        assert pictures(queued.result(30)) == [paint("a circle", s).tobytes() for s in (2, 3, 4)]
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 600
    assert refused.json()["error"]["type"] == "rate_limit_error"


def test_the_slower_the_pictures_the_later_to_come_back():
    class Slow(Painter):
        def draw(self, prompts, seeds, settings):
            time.sleep(0.6)
            return super().draw(prompts, seeds, settings)

    painter = Slow()
    batching = BatchConfig(max_batch=1, max_wait_ms=0.0, max_queue=5)
    with serving(painter, batching=batching) as url, ThreadPoolExecutor(1) as pool:
        ask(url)
        painter.go.clear()
        drawing = pool.submit(ask, url, n=4)
        until(lambda: metric(url, "queue_depth") == 3)
        refused = ask(url, n=3)
        painter.go.set()
        assert drawing.result(30).status_code == 200
    # Three pictures at no more than one in 0.6 s.
    assert refused.status_code == 429
    assert 2 <= int(refused.headers["retry-after"]) <= 600


@pytest.mark.parametrize(
    ("body", "status", "param", "says"),
    [
        ({"prompt": "x" * 201}, 400, "prompt", "201 characters; 200 characters at most"),
        ({"negative_prompt": "x" * 201}, 400, "negative_prompt", "200 characters at most"),
        ({"prompt": ""}, 422, "prompt", "at least 1 character"),
        ({"prompt": None}, 422, "prompt", "valid string"),
        ({"n": 11}, 422, "n", "less than or equal to 10"),
        ({"n": True}, 422, "n", "valid integer"),
        ({"size": "17x16"}, 400, "size", "multiples of 16"),
        ({"size": "16x17"}, 400, "size", "multiples of 16"),
        ({"n": 2, "size": "2048x2048"}, 400, "size", "8388608 pixels; 4194304 at most"),
        ({"size": "large"}, 400, "size", '"16x16" for instance'),
        ({"size": "4096x4096"}, 400, "size", "4194304 at most"),
        ({"response_format": "url"}, 400, "response_format", "ask for 'b64_json'"),
        ({"output_format": "webp"}, 400, "output_format", "ask for 'png'"),
        ({"stream": True}, 400, "stream", "leave stream out"),
        ({"model": "dall-e-3"}, 404, "model", "this server has 'painter'"),
        ({"true_cfg_scale": 4.0}, 400, "true_cfg_scale", "does not know true_cfg_scale"),
        ({"rounds": True}, 400, "rounds", "does not know rounds"),
        ({"num_inference_steps": 101}, 400, "num_inference_steps", "100 at most"),
        ({"seed": -1}, 422, "seed", "greater than or equal to 0"),
        ({"seed": 2**63}, 422, "seed", "less than or equal to"),
    ],
)
def test_what_cannot_be_done_is_said_in_openais_words(body, status, param, says):
    painter = Painter()
    with serving(painter) as url:
        answer = ask(url, **body)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (status, param)
    assert error["type"] == "invalid_request_error"
    assert says in error["message"]
    assert painter.batches == []


@pytest.mark.parametrize(
    "body",
    [
        {"prompt": "x" * 200},
        {"negative_prompt": "x" * 200},
        {"num_inference_steps": 100},
        {"n": 10},
        {"size": "64x64"},
        {"guidance_scale": 100},
    ],
)
def test_what_is_just_allowed_is_drawn(body):
    with serving(Painter(), replace(SERVED, max_pixels=64 * 64)) as url:
        assert len(pictures(ask(url, **body))) == body.get("n", 1)


def test_a_model_of_one_size_draws_no_other():
    served = ServedModel(name="fixed", width=32, height=16)
    with serving(Painter(), served) as url:
        other, own = ask(url, size="16x16"), ask(url, size="32x16", seed=1)
    assert other.status_code == 400
    assert other.json()["error"]["message"] == "fixed draws 32x16 only; leave size out"
    assert pictures(own) == [paint("a circle", 1).tobytes()]


def test_settings_that_the_profile_refuses_are_refused_before_drawing():
    painter = Painter()
    profile = ToolProfile(
        name="tiny",
        pipeline="QwenImagePipeline",
        repository="",
        steps=2,
        true_cfg_scale=1.0,
        words=6,
    )
    with serving(painter, ServedModel.from_profile(profile)) as url:
        answer = ask(url, negative_prompt="blue")
        both = ask(url, negative_prompt="blue", true_cfg_scale=4.0, size="64x64", seed=0)
    assert answer.status_code == 400
    assert "heeds none at guidance 1.0" in answer.json()["error"]["message"]
    look = DrawSettings(width=64, height=64, guidance=4.0, negative_prompt="blue")
    assert pictures(both) == [paint("a circle", 0, look).tobytes()]


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"{", 400),
        (b"[]", 422),
        (b"", 422),
        (b'{"prompt": "\\ud800"}', 422),
        (b'{"prompt": "\xff"}', 400),
        (b'{"prompt": "x", "guidance_scale": NaN}', 422),
        (b"[" * 100_000, 400),
    ],
)
def test_bodies_that_are_no_request_get_an_error_in_the_same_shape(content, status):
    with serving(Painter()) as url:
        answer = httpx.post(
            url + GENERATIONS, content=content, headers={"content-type": "application/json"}
        )
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_a_large_body_is_refused_with_and_without_a_declared_length():
    def chunks():
        for _ in range(40):
            yield b" " * 100

    with serving(Painter(), max_body=2000) as url:
        declared = httpx.post(url + GENERATIONS, content=b" " * 2001)
        streamed = httpx.post(url + GENERATIONS, content=chunks())
        exact = json.dumps({"prompt": "a circle", "seed": 1}).encode().ljust(2000)
        headers = {"content-type": "application/json"}
        fitting = [
            httpx.post(url + GENERATIONS, content=content, headers=headers)
            for content in (exact, iter([exact[:1000], exact[1000:]]))
        ]
        assert metric(url, 'requests_total{status="413"}') == 2
    assert (declared.status_code, streamed.status_code) == (413, 413)
    assert declared.json()["error"]["message"] == "the body is over 2000 bytes"
    for answer in fitting:
        assert pictures(answer) == [paint("a circle", 1).tobytes()]


@pytest.mark.parametrize("is_chunked", [False, True])
def test_who_sends_all_of_a_body_that_is_too_large_before_reading_reads_the_refusal(is_chunked):
    size = 20_000_000
    length = "Transfer-Encoding: chunked" if is_chunked else f"Content-Length: {size}"
    chunk = b"%x\r\n" % size if is_chunked else b""
    with serving(Painter(), max_body=2000) as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=10) as busy:
            busy.sendall(
                f"POST {GENERATIONS} HTTP/1.1\r\nHost: localhost\r\n{length}\r\n\r\n".encode()
            )
            busy.sendall(chunk + bytes(size) + (b"\r\n0\r\n\r\n" if is_chunked else b""))
            answer = busy.makefile("rb").read().decode()
        assert httpx.get(url + "/healthz").status_code == 200
    assert answer.startswith("HTTP/1.1 413")
    assert json.loads(answer.split("\r\n\r\n")[1])["error"]["code"] == "request_too_large"


def test_a_body_without_end_is_not_listened_to_for_ever():
    with serving(Painter(), max_body=2000, body_seconds=0.3) as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=10) as endless:
            head = f"POST {GENERATIONS} HTTP/1.1\r\nHost: localhost\r\n"
            endless.sendall(f"{head}Content-Length: {10**12}\r\n\r\n".encode())
            started = time.monotonic()
            with pytest.raises(OSError):
                while time.monotonic() - started < 10:
                    endless.sendall(bytes(100_000))
            assert time.monotonic() - started < 5


def test_a_body_that_does_not_come_is_not_waited_for():
    with serving(Painter(), body_seconds=0.2) as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=10) as slow:
            head = f"POST {GENERATIONS} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\n\r\n"
            slow.sendall(head.encode() + b'{"prompt"')
            answer = slow.makefile("rb").read().decode()
    assert answer.startswith("HTTP/1.1 408")
    assert json.loads(answer.split("\r\n\r\n")[1])["error"]["message"].startswith("the body did")


def test_a_token_is_asked_for_everywhere_but_at_the_health_route():
    with serving(Painter(), token=TOKEN) as url:
        headers = {"authorization": f"Bearer {TOKEN}"}
        body = {"prompt": "x", "seed": 4}
        right = httpx.post(url + GENERATIONS, json=body, headers=headers)
        refused = [
            httpx.post(url + GENERATIONS, json=body),
            httpx.post(url + GENERATIONS, json=body, headers={"authorization": "Bearer nonsense"}),
            httpx.get(url + "/v1/models"),
            httpx.get(url + "/metrics"),
            httpx.get(url + "/openapi.json"),
        ]
        health = httpx.get(url + "/healthz")
    assert pictures(right) == [paint("x", 4).tobytes()]
    assert [answer.status_code for answer in refused] == [401] * 5
    assert refused[0].json()["error"]["code"] == "invalid_api_key"
    assert refused[0].json()["error"]["type"] == "authentication_error"
    assert refused[0].headers["www-authenticate"] == "Bearer"
    assert health.json() == {"status": "ready", "model": "painter", "queue_depth": 0}


def test_unknown_routes_get_an_error_in_the_same_shape():
    with serving(Painter()) as url:
        answers = [httpx.get(url + "/v1/chat"), httpx.get(url + GENERATIONS)]
    assert [answer.status_code for answer in answers] == [404, 405]
    assert "GET /v1/chat" in answers[0].json()["error"]["message"]
