"""New weights from memory to memory, over real gloo groups, to servers that speak as vLLM does."""

import asyncio
from collections.abc import Iterator

import pytest
import torch
from tests.rollout.fake_vllm import FakeVllm
from tests.rollout.vllm_talk import Serve, engine_of, expected, serve, talk

from genagent_policy import Policy
from genagent_rollout.broadcast_publication import BroadcastPublication
from genagent_rollout.collective import GlooCollective
from genagent_rollout.vllm_engine import EngineError, VllmEngine

__all__ = ["serve"]


class Weights:
    """Two tensors of a trainer, one of them no contiguous one."""

    def __init__(self) -> None:
        self.head = torch.arange(6.0).reshape(2, 3)
        self.norm = torch.ones(4, dtype=torch.bfloat16)

    def __call__(self) -> Iterator[tuple[str, torch.Tensor]]:
        yield "lm_head.weight", self.head.T
        yield "model.norm.weight", self.norm


def broadcast(
    policy: Policy, weights: Weights, *servers: FakeVllm, seconds: float = 10.0
) -> VllmEngine:
    publication = BroadcastPublication(
        weights, lambda size: GlooCollective(size, address="127.0.0.1", seconds=seconds)
    )
    return engine_of(policy, *servers, publication=publication, publish_seconds=seconds)


def has(server: FakeVllm, weights: Weights) -> bool:
    """Whether each of its workers has them all."""
    return all(
        list(found) == ["lm_head.weight", "model.norm.weight"]
        and torch.equal(found["lm_head.weight"], weights.head.T)
        and torch.equal(found["model.norm.weight"], weights.norm)
        for found in server.workers.weights
    )


def test_all_workers_of_all_servers_get_the_weights_as_they_are_now(
    serve: Serve, tiny_policy: Policy
) -> None:
    servers = serve(workers=2), serve(workers=1)
    weights = Weights()
    engine = broadcast(tiny_policy, weights, *servers)
    for version in (1, 2):
        weights.head *= version + 1
        asyncio.run(engine.publish(version))
        assert all(has(server, weights) for server in servers)
        tokens = asyncio.run(talk(engine))
        assert tokens.ids.tolist() == expected(tiny_policy, str(version))
    assert [server.workers.ranks for server in servers] == [[1, 2], [3]]


def test_the_order_of_the_calls(serve: Serve, tiny_policy: Policy) -> None:
    server = serve()
    server.held = 1
    engine = broadcast(tiny_policy, Weights(), server)
    asked = ["/weight_info", "/get_world_size"]
    joined = ["/shutdown_weight_transfer_engine", "/init_weight_transfer_engine"]
    sent = ["/pause?mode=wait", "/start_weight_update", "/update_weights", "/finish_weight_update"]
    # Finishing an update empties no cache.
    emptied = ["/reset_prefix_cache", "/reset_mm_cache", "/reset_encoder_cache"]
    over = ["/update_weight_version", "/resume", "/weight_info"]
    asyncio.run(engine.publish(1))
    assert server.calls == [*asked, *joined, *sent, "/reset_prefix_cache", *emptied, *over]
    server.calls.clear()
    asyncio.run(engine.publish(2))
    assert server.calls == [*asked, *sent, *emptied, *over]


def test_a_server_that_has_died_is_left_out_and_the_others_are_a_new_group(
    serve: Serve, tiny_policy: Policy
) -> None:
    servers = serve(), serve(workers=2)
    weights = Weights()
    engine = broadcast(tiny_policy, weights, *servers)
    asyncio.run(engine.publish(1))
    servers[0].stop()
    weights.head += 1
    asyncio.run(engine.publish(2))
    assert list(engine.left_out) == [servers[0].url]
    assert "/weight_info" in engine.left_out[servers[0].url]
    assert servers[1].workers.ranks == [1, 2]
    assert has(servers[1], weights)


def test_a_server_that_was_started_again_is_in_the_next_group(
    serve: Serve, tiny_policy: Policy
) -> None:
    servers = serve(), serve()
    weights = Weights()
    engine = broadcast(tiny_policy, weights, *servers)
    asyncio.run(engine.publish(1))
    servers[0].version = "default"
    weights.head += 1
    asyncio.run(engine.publish(2))
    assert engine.left_out == {}
    assert [server.calls.count("/init_weight_transfer_engine") for server in servers] == [2, 2]
    assert all(has(server, weights) for server in servers)


@pytest.mark.parametrize(
    "path",
    [
        "/init_weight_transfer_engine",
        "/pause",
        "/start_weight_update",
        "/update_weights",
        "/finish_weight_update",
    ],
)
def test_what_one_server_cannot_do_for_the_group_nobody_gets(
    serve: Serve, tiny_policy: Policy, path: str
) -> None:
    servers = serve(), serve()
    servers[1].fails_at = path
    engine = broadcast(tiny_policy, Weights(), *servers, seconds=4.0)
    with pytest.raises(EngineError) as error:
        asyncio.run(engine.publish(1))
    said = str(error.value).removeprefix("no server has taken the new weights: ").split("; ")
    assert [line.startswith(each.url) for line, each in zip(said, servers, strict=True)] == [
        True
    ] * 2
    assert said[1].startswith(f"{servers[1].url}{path}")
    assert "weights were not sent" in said[0]
    assert all("500 out of memory" in line for line in said)
    assert engine.version is None


def test_a_server_whose_caches_cannot_be_emptied_is_left_out_alone(
    serve: Serve, tiny_policy: Policy
) -> None:
    servers = serve(), serve()
    weights = Weights()
    engine = broadcast(tiny_policy, weights, *servers)
    servers[1].fails_at = "/reset_mm_cache"
    asyncio.run(engine.publish(1))
    assert list(engine.left_out) == [servers[1].url]
    servers[1].fails_at = ""
    asyncio.run(engine.publish(2))
    assert engine.left_out == {}
    assert all(has(server, weights) for server in servers)
