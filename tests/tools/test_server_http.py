"""The server over real connections on loopback: pictures out, together and each its own."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import torch
from tests.tools.painting import (
    GENERATIONS,
    Painter,
    ask,
    metric,
    paint,
    pictures,
    serving,
)
from tests.tools.tiny_pipelines import flux
from tests.waiting import until

from genagent_tools import BatchConfig, DiffusersTool, DrawSettings, ServedModel, ToolProfile


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
        assert metric(url, "batch_size_sum") == 24
        assert metric(url, 'requests_total{status="200"}') == 24
        assert metric(url, "queue_depth") == 0
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
        assert metric(url, "batch_size_sum") == 9
        assert metric(url, "batch_size_count") < 9
    drawn = [pictures(answer)[0] for answer in mixed]
    distance = max(abs(a - b) for a, b in zip(drawn[0], alone[0], strict=True))
    assert distance <= levels
    assert len(set(drawn)) == 8


def test_a_client_that_hangs_up_is_not_drawn_for():
    painter = Painter(waiting=True)
    batching = BatchConfig(max_batch=1, max_wait_ms=0.0)
    with serving(painter, batching=batching) as url, ThreadPoolExecutor(1) as pool:
        kept = pool.submit(ask, url, prompt="kept")
        assert painter.busy.wait(10)
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(url + GENERATIONS, json={"prompt": "gone", "n": 4}, timeout=0.3)
        until(lambda: metric(url, "queue_depth") == 0)
        painter.go.set()
        assert kept.result(30).status_code == 200
        until(lambda: metric(url, 'requests_total{status="499"}') == 1)
    assert [prompts for prompts, _ in painter.batches] == [["kept"]]


def test_the_seed_after_the_last_is_the_first():
    with serving(Painter()) as url:
        answer = ask(url, n=2, seed=2**63 - 1)
    assert [entry["seed"] for entry in answer.json()["data"]] == [2**63 - 1, 0]
    assert pictures(answer)[1] == paint("a circle", 0).tobytes()


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


def test_models_tell_defaults_and_limits():
    with serving(Painter()) as url:
        [model] = httpx.get(url + "/v1/models").json()["data"]
    assert model["id"] == "painter"
    assert model["defaults"] == {"size": "16x16", "num_inference_steps": 4, "guidance": None}
    assert model["limits"]["prompt_characters"] == 200


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
