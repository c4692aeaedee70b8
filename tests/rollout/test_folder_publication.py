"""New weights reach servers that speak as vLLM does, or the server is left out."""

import asyncio
import shutil
from pathlib import Path

import pytest
from tests.rollout.vllm_talk import Serve, engine_of, expected, serve, talk

from genagent_policy import Policy
from genagent_rollout.folder_publication import FolderPublication
from genagent_rollout.vllm_engine import EngineError

__all__ = ["serve"]


def test_after_a_publication_turns_are_the_new_weights_own(
    serve: Serve, tiny_policy: Policy, tmp_path: Path
) -> None:
    server = serve()
    engine = engine_of(
        tiny_policy, server, publication=FolderPublication(tiny_policy.save, tmp_path)
    )
    for version in (1, 2, 3):
        if version == 3:  # somebody made room: nobody needs it any more
            shutil.rmtree(tmp_path / "policy-2")
        asyncio.run(engine.publish(version))
        tokens = asyncio.run(talk(engine))
        assert tokens.ids.tolist() == expected(tiny_policy, str(version))
    salts = [version for version in "123" for _ in range(2)]
    assert [body["cache_salt"] for body in server.bodies] == salts
    assert [path.name for path in tmp_path.iterdir()] == ["policy-3"]
    assert engine.counts.stale_tokens == 0


def test_caches_are_reset_until_they_are_before_the_server_goes_on(
    serve: Serve, tiny_policy: Policy, tmp_path: Path
) -> None:
    server = serve()
    server.held = 2
    asyncio.run(
        engine_of(
            tiny_policy, server, publication=FolderPublication(tiny_policy.save, tmp_path)
        ).publish(7)
    )
    assert server.calls == [
        "/pause?mode=wait",
        "/collective_rpc",
        *["/reset_prefix_cache"] * 3,
        "/reset_mm_cache",
        "/reset_encoder_cache",
        "/update_weight_version",
        "/resume",
        "/weight_info",
    ]


def test_a_conversation_goes_on_with_the_new_weights(
    serve: Serve, tiny_policy: Policy, tmp_path: Path
) -> None:
    engine = engine_of(
        tiny_policy, serve(), publication=FolderPublication(tiny_policy.save, tmp_path)
    )
    asyncio.run(engine.publish(1))
    conversation = engine.open("red", seed=3)
    first = asyncio.run(conversation.turn())
    asyncio.run(engine.publish(2))
    second = asyncio.run(conversation.turn())
    prompt = len(tiny_policy.chat.prompt_ids("red"))
    middle, end = prompt + len(first.ids), prompt + len(first.ids) + len(second.ids)
    spans = [(each.version, each.start, each.end) for each in conversation.weight_versions]
    assert spans == [("1", prompt, middle), ("2", middle, end)]


def test_a_server_with_weights_of_another_run_is_left_out_and_named(
    serve: Serve, tiny_policy: Policy, tmp_path: Path
) -> None:
    servers = serve(), serve()
    engine = engine_of(
        tiny_policy, *servers, publication=FolderPublication(tiny_policy.save, tmp_path)
    )
    asyncio.run(engine.publish(1))
    servers[0].version = "another"
    for seed in range(4):
        tokens = asyncio.run(talk(engine, seed=seed))
        assert tokens.ids.tolist() == expected(tiny_policy, "1", seed=seed)
    assert list(engine.left_out) == [servers[0].url]
    assert "version 'another'" in engine.left_out[servers[0].url]
    assert len(servers[0].bodies) == 1
    asyncio.run(engine.publish(2))
    assert engine.left_out == {}
    for seed in range(2):
        asyncio.run(talk(engine, seed=seed))
    assert len(servers[0].bodies) == 3


def test_a_turn_is_not_taken_from_other_weights_where_there_are_no_others(
    serve: Serve, tiny_policy: Policy, tmp_path: Path
) -> None:
    server = serve()
    engine = engine_of(
        tiny_policy, server, publication=FolderPublication(tiny_policy.save, tmp_path)
    )
    asyncio.run(engine.publish(1))
    server.version = "another"
    with pytest.raises(EngineError, match=f"{server.url}: samples with .* version 'another'"):
        asyncio.run(talk(engine))


def test_a_server_that_does_not_take_weights_is_asked_again_with_the_next_ones(
    serve: Serve, tiny_policy: Policy, tmp_path: Path
) -> None:
    servers = serve(), serve()
    servers[1].refuses_weights = True
    engine = engine_of(
        tiny_policy, *servers, publication=FolderPublication(tiny_policy.save, tmp_path)
    )
    asyncio.run(engine.publish(1))
    assert list(engine.left_out) == [servers[1].url]
    assert "/collective_rpc: 500 no such weights" in engine.left_out[servers[1].url]
    asyncio.run(talk(engine))
    assert servers[1].bodies == []
    servers[1].refuses_weights = False
    asyncio.run(engine.publish(2))
    assert engine.left_out == {}


def test_a_server_that_hangs_is_waited_for_once_and_taken_back_when_it_lives(
    serve: Serve, tiny_policy: Policy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("genagent_rollout.vllm_server.LOOK_SECONDS", 0.5)
    well, hanging = serve(), serve()
    hanging.hangs_at = "/collective_rpc"
    publication = FolderPublication(tiny_policy.save, tmp_path)
    engine = engine_of(tiny_policy, well, hanging, publication=publication, publish_seconds=8.0)
    asyncio.run(engine.publish(1))
    waited = f"{hanging.url}: new weights were not loaded"
    assert engine.left_out == {hanging.url: f"{waited} within 8 s"}
    hanging.hangs_at = "/reset_mm_cache"  # its engine does nothing at all
    for version in (2, 3):
        asyncio.run(engine.publish(version))
        assert engine.left_out == {hanging.url: f"{waited}, and its engine is silent for 0.5 s"}
    assert hanging.calls.count("/collective_rpc") == 1
    hanging.hangs_at = ""
    asyncio.run(engine.publish(4))
    assert engine.left_out == {}
    assert {well.version, hanging.version} == {"4"}


def test_weights_that_nobody_takes_end_it(
    serve: Serve, tiny_policy: Policy, tmp_path: Path
) -> None:
    servers = serve(), serve(dev_mode=False)
    servers[0].stop()
    engine = engine_of(
        tiny_policy, *servers, publication=FolderPublication(tiny_policy.save, tmp_path)
    )
    with pytest.raises(EngineError) as error:
        asyncio.run(engine.publish(1))
    assert all(server.url in str(error.value) for server in servers)
    assert engine.version is None


def test_without_a_way_there_is_no_publication(serve: Serve, tiny_policy: Policy) -> None:
    with pytest.raises(ValueError, match="name a folder that the servers see"):
        asyncio.run(engine_of(tiny_policy, serve()).publish(1))
