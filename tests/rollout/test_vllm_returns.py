"""Servers that die while turns are sampled, and those that are started again with first weights."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.rollout.test_adapter_publication import write
from tests.rollout.vllm_talk import Serve, engine_of, expected, serve, talk

from genagent_policy import Policy
from genagent_rollout.adapter_publication import AdapterPublication
from genagent_rollout.folder_publication import FolderPublication
from genagent_rollout.publication import Publication
from genagent_rollout.vllm_engine import EngineError
from genagent_rollout.vllm_returns import MAX_RETURNS

__all__ = ["serve"]


def by_folder(policy: Policy, root: Path) -> Publication:
    return FolderPublication(policy.save, root)


def by_adapter(policy: Policy, root: Path) -> Publication:
    return AdapterPublication(write, root)


@pytest.mark.parametrize(
    ("publication", "name"), [(by_folder, "1"), (by_adapter, "adapter-1"), (None, "default")]
)
def test_a_conversation_waits_for_the_only_server_and_goes_on_with_its_weights(
    serve: Serve,
    tiny_policy: Policy,
    tmp_path: Path,
    publication: Callable[[Policy, Path], Publication] | None,
    name: str,
) -> None:
    server = serve()
    way = None if publication is None else publication(tiny_policy, tmp_path)
    engine = engine_of(tiny_policy, server, publication=way)

    async def killed() -> list[int]:
        if way is not None:
            await engine.publish(1)
        server.hold()
        conversation = asyncio.create_task(talk(engine, rounds=3))
        while not server.bodies:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(server.stop)
        # More refusals than a turn may have failures, were they counted.
        await asyncio.sleep(1.0)
        server.release()
        await asyncio.to_thread(server.start_again)
        return (await conversation).ids.tolist()

    assert asyncio.run(killed()) == expected(tiny_policy, name, rounds=3)
    assert engine.left_out == {}


def test_the_servers_that_are_back_are_told_once_and_take_their_share(
    serve: Serve, tiny_policy: Policy, tmp_path: Path
) -> None:
    servers = serve(), serve()
    engine = engine_of(tiny_policy, *servers, publication=by_folder(tiny_policy, tmp_path))
    asyncio.run(engine.publish(1))
    for server in servers:
        server.version = "default"

    async def several() -> list[list[int]]:
        found = await asyncio.gather(*(talk(engine, seed=seed) for seed in range(12)))
        return [tokens.ids.tolist() for tokens in found]

    assert asyncio.run(several()) == [expected(tiny_policy, "1", seed=seed) for seed in range(12)]
    assert [server.calls.count("/collective_rpc") for server in servers] == [2, 2]
    assert engine.left_out == {}
    assert all(len(server.bodies) > 4 for server in servers)


def test_a_server_that_cannot_load_them_again_stays_left_out(
    serve: Serve, tiny_policy: Policy, tmp_path: Path
) -> None:
    servers = serve(), serve()
    engine = engine_of(tiny_policy, *servers, publication=by_folder(tiny_policy, tmp_path))
    asyncio.run(engine.publish(1))
    servers[0].version = "default"
    servers[0].refuses_weights = True
    for seed in range(3):
        tokens = asyncio.run(talk(engine, seed=seed))
        assert tokens.ids.tolist() == expected(tiny_policy, "1", seed=seed)
    assert "/collective_rpc: 500 no such weights" in engine.left_out[servers[0].url]
    assert len(servers[0].bodies) == 1


def test_a_server_that_forgets_its_weights_with_every_turn_ends_it(
    serve: Serve, tiny_policy: Policy, tmp_path: Path
) -> None:
    def forget(number: int) -> None:
        server.version = "default"

    server = serve(fault=forget)
    engine = engine_of(tiny_policy, server, publication=by_folder(tiny_policy, tmp_path))
    asyncio.run(engine.publish(1))
    with pytest.raises(EngineError, match="samples with weights of version 'default'"):
        asyncio.run(talk(engine))
    assert server.calls.count("/collective_rpc") == 1 + MAX_RETURNS


def test_another_process_than_the_publishing_one_leaves_it_alone(
    serve: Serve, tiny_policy: Policy, tmp_path: Path
) -> None:
    server = serve()
    engine = engine_of(tiny_policy, server, publication=by_folder(tiny_policy, tmp_path))
    engine.follow(1, {})
    with pytest.raises(EngineError, match="samples with weights of version 'default'"):
        asyncio.run(talk(engine))
    assert server.calls == []
