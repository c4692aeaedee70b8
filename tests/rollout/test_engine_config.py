"""Which engine a run gets, and what keeps it from being had."""

import asyncio
import logging
import shutil
from pathlib import Path

import pytest
import torch
from tests.rollout.vllm_talk import Serve, expected, serve

from genagent_policy import Policy, PolicyConfig
from genagent_policy.adapter import LoRA
from genagent_rollout import (
    EngineConfig,
    LocalEngine,
    SamplingConfig,
    ServedPolicy,
    StartedPolicy,
)

__all__ = ["serve"]


def opened(policy: Policy, folder: Path, **options: object) -> ServedPolicy:
    engine = EngineConfig(**options).open(policy, SamplingConfig(), folder)  # pyright: ignore[reportArgumentType]
    assert isinstance(engine, ServedPolicy)
    return engine


def first_turn(engine: ServedPolicy | StartedPolicy) -> list[int]:
    conversation = engine.open("red", seed=3)
    asyncio.run(conversation.turn())
    return conversation.tokens().ids.tolist()


def test_without_servers_the_engine_is_in_this_process(tiny_policy: Policy, tmp_path: Path):
    config = EngineConfig(cache_gib=0.01, page_tokens=16)
    engine = config.open(tiny_policy, SamplingConfig(max_response_tokens=100), tmp_path)
    assert isinstance(engine, LocalEngine)
    assert engine.policy is tiny_policy
    assert config.problems(SamplingConfig()) == []
    assert list(tmp_path.iterdir()) == []


def test_servers_have_the_weights_before_the_first_turn_and_after_each_update(
    serve: Serve, tiny_policy_path: Path, tmp_path: Path
):
    policy = Policy.load(tiny_policy_path)
    one, two = serve(), serve()
    engine = opened(policy, tmp_path, urls=f"{one.url}, {two.url}")
    versions = []
    for _ in range(2):
        assert engine.engine.version is not None
        versions.append(engine.engine.version)
        assert first_turn(engine) == expected(policy, versions[-1], rounds=1)
        with torch.no_grad():
            policy.head_weight.add_(1.0)
        engine.publish()
    assert int(versions[1]) == int(versions[0]) + 1
    [folder] = (tmp_path / "weights").iterdir()
    saved = Policy.load(folder)
    assert torch.equal(saved.head_weight, policy.head_weight)
    # Another run never gives its weights a name that this one gave.
    again = opened(policy, tmp_path, urls=one.url)
    assert int(again.engine.version or 0) > int(versions[1])
    # Nor does an ended process leave a checkpoint behind for each of its starts.
    assert [left.name for left in (tmp_path / "weights").iterdir()] == [
        f"policy-{again.engine.version}"
    ]


def test_servers_that_were_started_with_the_policy_are_sent_no_weights(
    serve: Serve, tiny_policy: Policy, tmp_path: Path
):
    server = serve(dev_mode=False)
    config = EngineConfig(urls=server.url, publish=None)
    assert config.problems(SamplingConfig()) == []
    engine = config.open(tiny_policy, SamplingConfig(), tmp_path)
    assert isinstance(engine, StartedPolicy)
    assert first_turn(engine) == expected(tiny_policy, "default", rounds=1)
    assert server.calls == []  # of those that tell a server what to do
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="publish is None: the servers keep the policy"):
        engine.publish()


def test_a_policy_that_servers_were_started_with_is_read_without_its_weights(
    serve: Serve, tiny_policy: Policy, tiny_policy_path: Path, tmp_path: Path
):
    shutil.copytree(tiny_policy_path, tmp_path / "bare", ignore=lambda *_: ["model.safetensors"])
    server, run = serve(), tmp_path / "run"
    served = PolicyConfig(policy="bare")
    shipped = {"bare": tmp_path / "bare"}
    config = EngineConfig(urls=server.url, publish=None)
    engine = config.load(served, shipped, SamplingConfig(), run)
    assert isinstance(engine, StartedPolicy)
    assert first_turn(engine) == expected(tiny_policy, "default", rounds=1)
    # Whoever samples here, or gives the servers weights, has to have them.
    for other in (EngineConfig(), EngineConfig(urls=server.url)):
        with pytest.raises(ValueError, match=r"bare: holds no \.safetensors file"):
            other.load(served, shipped, SamplingConfig(), run)


def test_weights_are_loaded_for_an_engine_that_takes_them(
    serve: Serve, tiny_policy: Policy, tiny_policy_path: Path, tmp_path: Path
):
    server, policy = serve(), PolicyConfig(policy=str(tiny_policy_path))
    told = EngineConfig(urls=server.url).load(policy, {}, SamplingConfig(), tmp_path, words=77)
    assert isinstance(told, ServedPolicy)
    assert "77 words" in tiny_policy.chat.decode(told.engine.chat.prompt_ids("red"))
    here = EngineConfig(cache_gib=0.01).load(policy, {}, SamplingConfig(), tmp_path)
    assert isinstance(here, LocalEngine)


def test_weights_that_change_want_a_way_to_the_servers():
    config = EngineConfig(urls="http://127.0.0.1:9", publish=None)
    [line] = config.problems(SamplingConfig(), changing="training changes the weights")
    assert line == (
        "publish is None, and training changes the weights; wants folder, lora or broadcast"
    )


def test_a_folder_for_weights_may_serve_several_runs(
    serve: Serve, tiny_policy: Policy, tmp_path: Path
):
    server, shared = serve(), tmp_path / "shm"
    (shared / "mine").mkdir(parents=True)
    for folder in ("a/run", "b/run", "a/run", "a/run/../run"):
        opened(tiny_policy, tmp_path / folder, urls=server.url, weights=shared)
    names = sorted(folder.name.partition("-")[0] for folder in shared.iterdir())
    assert names == ["mine", "run", "run"]
    assert sorted(len(list(folder.iterdir())) for folder in shared.iterdir()) == [0, 1, 1]


def test_only_what_was_published_is_cleared_away(
    serve: Serve, tiny_policy: Policy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    own = tmp_path / "weights" / "mine.safetensors"
    own.parent.mkdir()
    own.write_text("mine")
    (own.parent / ".policy-7.81.partial").mkdir()  # of one that was killed while it wrote
    server = serve()
    for _ in range(2):
        opened(tiny_policy, Path("."), urls=server.url)
        assert own.read_text() == "mine"
        assert len(list(own.parent.iterdir())) == 2


def test_a_server_that_takes_no_weights_is_named_and_the_other_samples(
    serve: Serve, tiny_policy: Policy, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    one, two = serve(), serve()
    two.refuses_weights = True
    with caplog.at_level(logging.WARNING, logger="genagent_rollout"):
        engine = opened(tiny_policy, tmp_path, urls=f"{one.url},{two.url}")
    [line] = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"a vLLM server is left out: {two.url}")
    first_turn(engine)
    assert len(one.bodies) == 1 and two.bodies == []


def test_an_adapter_is_published_where_the_policy_trains_one(
    serve: Serve, tiny_policy: Policy, tiny_policy_path: Path, tmp_path: Path
):
    server = serve()
    with pytest.raises(ValueError, match="publish is 'lora', and this policy trains all"):
        opened(tiny_policy, tmp_path, urls=server.url, publish="lora")
    lora = LoRA(rank=2, alpha=4, part="language")
    policy = Policy.load(tiny_policy_path, lora=lora)
    engine = opened(policy, tmp_path, urls=server.url, publish="lora")
    [name] = server.adapters
    assert first_turn(engine) == expected(tiny_policy, name, rounds=1)
    assert server.adapters[name] == tmp_path / "weights" / name


def test_the_policy_s_own_tensors_are_broadcast(
    serve: Serve, tiny_policy_path: Path, tmp_path: Path
):
    policy = Policy.load(tiny_policy_path)
    one, two = serve(), serve(workers=2)
    urls = f"{one.url},{two.url}"
    engine = opened(policy, tmp_path, urls=urls, publish="broadcast")
    known = dict(policy.model.named_parameters())
    for _ in range(2):
        for weights in (*one.workers.weights, *two.workers.weights):
            assert list(weights) == list(known)
            assert all(torch.equal(weights[name], known[name]) for name in known)
        with torch.no_grad():
            policy.head_weight.add_(1.0)
        engine.publish()
    assert first_turn(engine) == expected(policy, engine.engine.version or "", rounds=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cache_gib": 0.0}, "cache_gib is 0.0; wants a number above 0"),
        ({"page_tokens": 0}, "page_tokens is 0; wants 1 or more"),
        ({"urls": "gpu1:8000"}, "gpu1:8000"),
        ({"urls": "http://one:8000,,"}, "base_urls"),
        ({"urls": "http://one:8000", "turn_seconds": 0.0}, "timeout_seconds is 0"),
    ],
)
def test_impossible_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        EngineConfig(**options)


def test_a_dead_server_is_a_line_before_anything_loads():
    [line] = EngineConfig(urls="http://127.0.0.1:9", turn_seconds=1.0).problems(SamplingConfig())
    assert line.startswith("http://127.0.0.1:9")
