"""New adapters reach servers that speak as vLLM does, each under a name of its own."""

import asyncio
import copy
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from tests.rollout.fake_vllm import FakeVllm
from tests.rollout.vllm_talk import Serve, engine_of, expected, serve, talk

from genagent_policy import Policy
from genagent_rollout.adapter_publication import AdapterPublication, check_adapter
from genagent_rollout.vllm_engine import EngineError, VllmEngine

__all__ = ["serve"]

LAYER = "base_model.model.model.language_model.layers.0.self_attn.q_proj.lora_A.weight"
TOWER = "base_model.model.model.visual.blocks.0.attn.proj.lora_A.weight"


def write(folder: Path, *, kind: str = "LORA", names: Sequence[str] = (LAYER,)) -> None:
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": kind, "r": 2}))
    save_file({name: torch.zeros(2, 4) for name in names}, folder / "adapter_model.safetensors")


def adapted(policy: Policy, root: Path, *servers: FakeVllm) -> VllmEngine:
    return engine_of(policy, *servers, publication=AdapterPublication(write, root))


def test_each_version_is_a_model_of_its_own_and_the_former_is_unloaded(
    serve: Serve, tiny_policy: Policy, tmp_path: Path
) -> None:
    server = serve()
    engine = adapted(tiny_policy, tmp_path, server)
    for version in (1, 2, 3):
        if version == 3:  # somebody made room: nobody needs it any more
            shutil.rmtree(tmp_path / "adapter-2")
        asyncio.run(engine.publish(version))
        tokens = asyncio.run(talk(engine))
        assert tokens.ids.tolist() == expected(tiny_policy, f"adapter-{version}")
    versions = [version for version in "123" for _ in range(2)]
    assert [body["model"] for body in server.bodies] == [f"adapter-{one}" for one in versions]
    assert [body["cache_salt"] for body in server.bodies] == versions
    assert server.adapters == {"adapter-3": tmp_path / "adapter-3"}
    assert [path.name for path in tmp_path.iterdir()] == ["adapter-3"]
    # Nobody waits: turns and other adapters do not meet.
    loading, unloading = "/v1/load_lora_adapter", "/v1/unload_lora_adapter"
    assert server.calls == [loading, *[loading, unloading] * 2]


def test_tokens_are_of_the_adapter_s_version_whatever_the_base_is_called(
    serve: Serve, tiny_policy: Policy, tmp_path: Path
) -> None:
    engine = adapted(tiny_policy, tmp_path, serve())
    asyncio.run(engine.publish(7))
    conversation = engine.open("red", seed=3)
    asyncio.run(conversation.turn())
    [span] = conversation.weight_versions
    prompt = len(tiny_policy.chat.prompt_ids("red"))
    assert (span.version, span.start, span.end) == ("7", prompt, len(conversation.tokens()))
    assert engine.counts.stale_tokens == 0


def test_a_turn_in_flight_ends_with_the_adapter_that_it_began_with(
    serve: Serve, tiny_policy: Policy, tmp_path: Path
) -> None:
    server = serve()
    engine = adapted(tiny_policy, tmp_path, server)

    async def overtaken() -> list[int]:
        await engine.publish(1)
        server.hold()
        turn = asyncio.create_task(talk(engine, rounds=1))
        while not server.bodies:
            await asyncio.sleep(0.01)
        await engine.publish(2)
        assert sorted(server.adapters) == ["adapter-1", "adapter-2"]
        assert (tmp_path / "adapter-1").is_dir()
        server.release()
        return (await turn).ids.tolist()

    assert asyncio.run(overtaken()) == expected(tiny_policy, "adapter-1", rounds=1)
    assert engine.counts.stale_tokens == engine.counts.sampled_tokens > 0
    asyncio.run(engine.publish(3))
    assert list(server.adapters) == ["adapter-3"]
    assert [path.name for path in tmp_path.iterdir()] == ["adapter-3"]


def test_a_server_that_does_not_take_an_adapter_is_left_out_until_the_next_one(
    serve: Serve, tiny_policy: Policy, tmp_path: Path
) -> None:
    servers = serve(), serve()
    engine = adapted(tiny_policy, tmp_path, *servers)
    asyncio.run(engine.publish(1))
    servers[1].refuses_weights = True
    asyncio.run(engine.publish(2))
    assert list(engine.left_out) == [servers[1].url]
    assert "/v1/load_lora_adapter: 500 LoRA rank 32" in engine.left_out[servers[1].url]
    asyncio.run(talk(engine))
    assert servers[1].bodies == []
    servers[1].refuses_weights = False
    asyncio.run(engine.publish(3))
    assert engine.left_out == {}
    # What it could not be told to unload meanwhile goes too.
    assert [list(server.adapters) for server in servers] == [["adapter-3"]] * 2


def test_a_server_that_was_started_again_has_no_such_model_and_the_other_samples(
    serve: Serve, tiny_policy: Policy, tmp_path: Path
) -> None:
    servers = serve(), serve()
    engine = adapted(tiny_policy, tmp_path, *servers)
    asyncio.run(engine.publish(1))
    servers[0].adapters.clear()
    for seed in range(4):
        tokens = asyncio.run(talk(engine, seed=seed))
        assert tokens.ids.tolist() == expected(tiny_policy, "adapter-1", seed=seed)
    assert servers[0].bodies == []
    asyncio.run(engine.publish(2))
    assert engine.left_out == {}


def test_a_turn_of_the_base_is_not_taken_for_the_adapter_s(
    serve: Serve, tiny_policy: Policy, tmp_path: Path
) -> None:
    bad, good = serve(fault=lambda number: "base"), serve()
    engine = adapted(tiny_policy, tmp_path, bad, good)
    asyncio.run(engine.publish(1))
    asyncio.run(talk(engine))
    asyncio.run(talk(engine, seed=4))
    assert bad.bodies
    assert engine.counts.turns == len(good.bodies) == 4


def test_an_adapter_that_nobody_takes_ends_it(
    serve: Serve, tiny_policy: Policy, tmp_path: Path
) -> None:
    servers = serve(), serve(lora=False)
    servers[0].stop()
    engine = adapted(tiny_policy, tmp_path, *servers)
    with pytest.raises(EngineError) as error:
        asyncio.run(engine.publish(1))
    assert all(server.url in str(error.value) for server in servers)


def test_no_adapter_s_folder_is_used_again(
    serve: Serve, tiny_policy: Policy, tmp_path: Path
) -> None:
    (tmp_path / "adapter-1").mkdir()
    with pytest.raises(ValueError, match="never used again"):
        asyncio.run(adapted(tiny_policy, tmp_path, serve()).publish(1))


@pytest.mark.parametrize(
    ("targets", "taken"),
    [
        (r".*language_model.*\.(q_proj|down_proj)", True),
        (r".*visual.*\.(qkv|proj)", False),
        (["q_proj", "proj"], False),
    ],
)
def test_what_peft_writes_is_taken_where_it_stays_in_the_language_model(
    tiny_policy: Policy, tmp_path: Path, targets: str | list[str], taken: bool
) -> None:
    config = LoraConfig(r=2, target_modules=targets)
    get_peft_model(copy.deepcopy(tiny_policy.model), config).save_pretrained(str(tmp_path))
    if taken:
        check_adapter(tmp_path)
    else:
        with pytest.raises(ValueError, match=r"outside the language model, first .*visual"):
            check_adapter(tmp_path)


def test_what_is_no_adapter_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not an adapter in peft's layout"):
        check_adapter(tmp_path)
    write(tmp_path / "ia3", kind="IA3")
    with pytest.raises(ValueError, match="type 'IA3'; wants 'LORA'"):
        check_adapter(tmp_path / "ia3")
    write(tmp_path / "empty", names=())
    with pytest.raises(ValueError, match="without weights"):
        check_adapter(tmp_path / "empty")
    write(tmp_path / "both", names=(LAYER, TOWER))
    with pytest.raises(ValueError, match=f"1 of .* first {TOWER}"):
        check_adapter(tmp_path / "both")
    (tmp_path / "both/adapter_model.safetensors").write_bytes(b"no")
    with pytest.raises(ValueError, match="not an adapter in peft's layout"):
        check_adapter(tmp_path / "both")
