"""The server over real connections on loopback."""

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import torch
from tests.tools.painting import SERVED, Painter, paint, pixels_of, serving
from tests.tools.test_diffusers_tool import flux

from genagent_tools import (
    BatchConfig,
    DiffusersTool,
    DrawSettings,
    ServedModel,
    ServerConfig,
    ToolProfile,
)

GENERATIONS = "/v1/images/generations"
TOKEN = "a-token-long-enough"


def ask(url, **body):
    return httpx.post(url + GENERATIONS, json={"prompt": "a circle", **body}, timeout=60)


def pictures(answer):
    assert answer.status_code == 200, answer.text
    return [pixels_of(entry["b64_json"]) for entry in answer.json()["data"]]


def until(condition):
    for _ in range(600):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("did not come true within 6 s")


def metric(url, name):
    lines = httpx.get(url + "/metrics").text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))


def test_a_request_gets_its_pictures_with_their_seeds():
    with serving(Painter()) as url:
        answer = ask(url, n=3, seed=7, model="painter", user="x", quality="hd", size="auto")
    expected = [paint("a circle", seed).tobytes() for seed in (7, 8, 9)]
    assert pictures(answer) == expected
    body = answer.json()
    assert [entry["seed"] for entry in body["data"]] == [7, 8, 9]
    assert body["data"][0]["url"] is None and body["data"][0]["revised_prompt"] is None
    assert (body["model"], body["size"], body["output_format"]) == ("painter", "16x16", "png")
    assert abs(body["created"] - time.time()) < 60


def test_without_a_seed_one_is_drawn_and_told():
    with serving(Painter()) as url:
        first, second = ask(url), ask(url)
    seeds = [answer.json()["data"][0]["seed"] for answer in (first, second)]
    assert seeds[0] != seeds[1]
    assert pictures(first) == [paint("a circle", seeds[0]).tobytes()]


def test_extensions_reach_the_tool_and_spelled_out_defaults_are_defaults():
    painter = Painter()
    with serving(painter) as url:
        changed = ask(
            url,
            seed=1,
            size="32x16",
            num_inference_steps=9,
            guidance_scale=2.5,
            negative_prompt="blue",
        )
        plain = ask(url, seed=1, size="16x16", num_inference_steps=4)
    look = DrawSettings(width=32, steps=9, guidance=2.5, negative_prompt="blue")
    assert pictures(changed) == [paint("a circle", 1, look).tobytes()]
    assert changed.json()["size"] == "32x16"
    assert pictures(plain) == [paint("a circle", 1).tobytes()]
    assert [look for _, look in painter.batches] == [look, DrawSettings()]


def test_concurrent_requests_share_batches_and_each_gets_its_own():
    painter = Painter()
    batching = BatchConfig(max_batch=8, max_wait_ms=100.0)
    with serving(painter, batching=batching) as url, ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(lambda seed: ask(url, prompt=f"p{seed}", seed=seed), range(24)))
        assert metric(url, "genagent_tools_batch_size_sum") == 24
        assert metric(url, 'genagent_tools_requests_total{status="200"}') == 24
        assert metric(url, "genagent_tools_queue_depth") == 0
    for seed, answer in enumerate(answers):
        assert pictures(answer) == [paint(f"p{seed}", seed).tobytes()]
    assert len(painter.batches) < 12


TINY = ToolProfile(
    name="tiny",
    pipeline="FluxPipeline",
    repository="",
    steps=2,
    guidance_scale=1.0,
    width=32,
    height=32,
    text_tokens=8,
    words=6,
    dtype="float32",
    max_batch=8,
)


@pytest.fixture(scope="module")
def tiny_flux(tmp_path_factory):
    """A real pipeline with random weights, read from a folder as the server reads them."""
    folder = tmp_path_factory.mktemp("pipeline")
    torch.manual_seed(0)
    flux().save_pretrained(folder)
    return DiffusersTool.from_profile(TINY, path=folder, device="cpu")


@pytest.mark.parametrize(("fixed_batch", "levels"), [(True, 0), (False, 1)])
def test_flux_gives_the_same_picture_alone_and_in_a_mixed_batch(tiny_flux, fixed_batch, levels):
    batching = BatchConfig(max_batch=8, max_wait_ms=500.0, fixed_batch=fixed_batch)
    words = ["red circle", "red", "circle red circle", "blurry", "circle", "red red", "a", "red"]
    with (
        serving(tiny_flux, ServedModel.from_profile(TINY), batching=batching) as url,
        ThreadPoolExecutor(8) as pool,
    ):
        alone = pictures(ask(url, prompt=words[0], seed=5))
        mixed = list(
            pool.map(lambda pair: ask(url, prompt=pair[1], seed=5 + 3 * pair[0]), enumerate(words))
        )
        assert metric(url, "genagent_tools_batch_size_sum") == 9
        assert metric(url, "genagent_tools_batch_size_count") < 9
    drawn = [pictures(answer)[0] for answer in mixed]
    distance = max(abs(a - b) for a, b in zip(drawn[0], alone[0], strict=True))
    assert distance <= levels
    assert len(set(drawn)) == 8


def test_a_prompt_that_fails_fails_alone():
    batching = BatchConfig(max_batch=8, max_wait_ms=200.0)
    with serving(Painter(), batching=batching) as url, ThreadPoolExecutor(4) as pool:
        prompts = ["one", "bad", "two", "strange"]
        answers = list(pool.map(lambda prompt: ask(url, prompt=prompt, seed=3), prompts))
        assert metric(url, 'genagent_tools_pictures_total{outcome="failed"}') == 2
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
        until(lambda: metric(url, "genagent_tools_queue_depth") == 3)
        refused = ask(url, seed=9)
        assert httpx.get(url + "/healthz").json()["queue_depth"] == 3
        painter.go.set()
        assert pictures(drawing.result(30)) == [paint("a circle", 1).tobytes()]
        assert pictures(queued.result(30)) == [paint("a circle", s).tobytes() for s in (2, 3, 4)]
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 600
    assert refused.json()["error"]["type"] == "rate_limit_error"


def test_a_client_that_hangs_up_is_not_drawn_for():
    painter = Painter(waiting=True)
    batching = BatchConfig(max_batch=1, max_wait_ms=0.0)
    with serving(painter, batching=batching) as url, ThreadPoolExecutor(1) as pool:
        kept = pool.submit(ask, url, prompt="kept")
        assert painter.busy.wait(10)
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(url + GENERATIONS, json={"prompt": "gone", "n": 4}, timeout=0.3)
        until(lambda: metric(url, "genagent_tools_queue_depth") == 0)
        painter.go.set()
        assert kept.result(30).status_code == 200
        until(lambda: metric(url, 'genagent_tools_requests_total{status="499"}') == 1)
    assert [prompts for prompts, _ in painter.batches] == [["kept"]]


def test_each_device_has_its_worker():
    painters = [Painter(waiting=True), Painter(waiting=True)]
    batching = BatchConfig(max_batch=1, max_wait_ms=0.0)
    with serving(painters, batching=batching) as url, ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(ask, url, seed=seed) for seed in (1, 2)]
        assert all(painter.busy.wait(10) for painter in painters)
        for painter in painters:
            painter.go.set()
        drawn = [pictures(answer.result(30)) for answer in answers]
    assert drawn == [[paint("a circle", seed).tobytes()] for seed in (1, 2)]


@pytest.mark.parametrize(
    ("body", "status", "param", "says"),
    [
        ({"prompt": "x" * 201}, 400, "prompt", "201 characters; 200 characters at most"),
        ({"prompt": ""}, 422, "prompt", "at least 1 character"),
        ({"prompt": None}, 422, "prompt", "valid string"),
        ({"n": 11}, 422, "n", "less than or equal to 10"),
        ({"n": True}, 422, "n", "valid integer"),
        ({"size": "17x16"}, 400, "size", "multiples of 16"),
        ({"size": "large"}, 400, "size", '"16x16" for instance'),
        ({"size": "4096x4096"}, 400, "size", "4194304 at most"),
        ({"response_format": "url"}, 400, "response_format", "ask for 'b64_json'"),
        ({"output_format": "webp"}, 400, "output_format", "ask for 'png'"),
        ({"stream": True}, 400, "stream", "leave stream out"),
        ({"model": "dall-e-3"}, 404, "model", "this server has 'painter'"),
        ({"true_cfg_scale": 4.0}, 400, "true_cfg_scale", "does not know true_cfg_scale"),
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
        small = ask(url, seed=1)
    assert (declared.status_code, streamed.status_code) == (413, 413)
    assert declared.json()["error"]["message"] == "the body is over 2000 bytes"
    assert pictures(small) == [paint("a circle", 1).tobytes()]


def test_a_body_that_does_not_come_is_not_waited_for():
    with serving(Painter(), body_seconds=0.2) as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=10) as slow:
            head = f"POST {GENERATIONS} HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n"
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
    assert health.json() == {"status": "ready", "model": "painter", "queue_depth": 0}


def test_models_tell_defaults_and_limits():
    with serving(Painter()) as url:
        [model] = httpx.get(url + "/v1/models").json()["data"]
    assert model["id"] == "painter"
    assert model["defaults"] == {"size": "16x16", "num_inference_steps": 4, "guidance": None}
    assert model["limits"]["prompt_characters"] == 200


def test_unknown_routes_get_an_error_in_the_same_shape():
    with serving(Painter()) as url:
        answers = [httpx.get(url + "/v1/chat"), httpx.get(url + GENERATIONS)]
    assert [answer.status_code for answer in answers] == [404, 405]
    assert "GET /v1/chat" in answers[0].json()["error"]["message"]


def test_many_clients_at_once_are_all_served():
    with serving(Painter(), batching=BatchConfig(max_batch=64)) as url:
        found = {}

        def client(number):
            with httpx.Client(timeout=60) as connection:
                for turn in range(5):
                    seed = 5 * number + turn
                    body = {"prompt": f"p{number}", "seed": seed}
                    found[seed] = pictures(connection.post(url + GENERATIONS, json=body))

        threads = [threading.Thread(target=client, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == {seed: [paint(f"p{seed // 5}", seed).tobytes()] for seed in range(80)}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"host": "0.0.0.0"}, "host 0.0.0.0 can be reached from other machines; give a token"),
        ({"host": "my-machine"}, "host my-machine can be reached"),
        ({"host": "::"}, "host :: can be reached"),
        ({"port": 65536}, "port is 65536"),
        ({"token": "short"}, "the token has 5 characters; wants 16 or more"),
        ({"token": "ä" * 16}, "plain ASCII"),
        ({"drain_seconds": -1.0}, "drain_seconds is -1.0"),
        ({"max_body": 0}, "max_body is 0"),
    ],
)
def test_unsafe_and_impossible_configurations_are_named(changes, says):
    with pytest.raises(ValueError, match=says):
        ServerConfig(**changes)


def test_other_machines_may_be_served_with_a_token():
    assert not ServerConfig(host="0.0.0.0", token=TOKEN).is_loopback
    assert ServerConfig(host="::1").is_loopback
    assert TOKEN not in repr(ServerConfig(token=TOKEN))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": ""}, "no name"),
        ({"width": 0}, "width is 0"),
        ({"steps": 200}, "steps is 200; wants 1 to max_steps, 100"),
        ({"extensions": frozenset({"magic"})}, r"unknown extensions \['magic'\]"),
        ({"extensions": frozenset({"guidance_scale", "true_cfg_scale"})}, "keep the one"),
    ],
)
def test_models_that_cannot_be_served_are_named(changes, says):
    with pytest.raises(ValueError, match=says):
        ServedModel(**{"name": "m", "width": 16, "height": 16, **changes})


def test_no_tool_no_server():
    with pytest.raises(ValueError, match="no tool to draw with"), serving([], SERVED):
        pass
