"""Trajectories of a ``VllmEngine``, of servers that sample by a formula or of real vLLM ones."""

import asyncio
import hashlib
import json
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from soak_kinds import Ask
from soak_servers import Process, noise, serve_json

from genagent_miniworld import weights
from genagent_rewards import Picture
from genagent_tracking import print_line

if TYPE_CHECKING:
    from genagent_rollout.vllm_engine import VllmEngine


# What needs torch is imported where it is used: each server's process imports this file too.
STARTED, PUBLISHED = weights("sft"), weights("base")
"""What real servers are started with, and what they get: one that was started again and is asked
before it has got it again gives other tokens."""
TURNS = 3


def turn_server() -> Process:
    """Tokens that follow from the whole request, in vLLM's words."""
    from genagent_policy import Policy

    chat = Policy.load(STARTED).chat
    _, grids = chat.encode_pictures([noise("")])
    pads = int(grids[0].prod()) // chat.merge_size**2
    return Process(partial(_serve, chat.image_token_id, pads, chat.turn_end_id))


def _serve(pad: int, pads: int, end: int, port: int) -> None:
    serve_json(port, partial(_turn, pad, pads, end))


def _turn(pad: int, pads: int, end: int, path: str, asked: bytes) -> dict[str, Any]:
    ids: list[int] = []
    spans: list[dict[str, int]] = []
    for token in json.loads(asked)["token_ids"]:
        if token == pad:
            spans.append({"offset": len(ids), "length": pads})
        ids += [token] * (pads if token == pad else 1)
    sampled = [*(20 + byte // 2 for byte in hashlib.sha256(asked).digest()), end]
    logprobs = [{"token_id": token, "logprob": -1.0} for token in sampled]
    choice = {
        "token_ids": sampled,
        "finish_reason": "stop",
        "logprobs": {"content": logprobs},
        "weight_versions": [{"version": "default", "start": 0, "end": len(sampled)}],
    }
    return {"prompt_token_ids": ids, "mm_placeholders": {"image": spans}, "choices": [choice]}


def turns(stack: ExitStack, urls: Sequence[str]) -> Ask:
    """Trajectories of servers that keep the weights they were started with."""
    from genagent_policy import Policy
    from genagent_rollout import SamplingConfig
    from genagent_rollout.vllm_config import VllmConfig
    from genagent_rollout.vllm_engine import VllmEngine

    config = VllmConfig(urls=tuple(urls), turn_seconds=5.0, deadline_seconds=120.0)
    engine = VllmEngine(Policy.load(STARTED).chat, SamplingConfig(), config)
    stack.callback(engine.close)
    return lambda numbers: asyncio.run(_all_of(engine, numbers))


def vllm_turns(stack: ExitStack, urls: Sequence[str]) -> Ask:
    """Trajectories of real vLLM servers, by weights that they get and get again. Who does not take
    the weights is not asked."""
    from genagent_policy import Policy
    from genagent_rollout import SamplingConfig
    from genagent_rollout.folder_publication import FolderPublication
    from genagent_rollout.vllm_config import VllmConfig
    from genagent_rollout.vllm_engine import VllmEngine

    folder = Path(stack.enter_context(TemporaryDirectory()))
    publication = FolderPublication(lambda to: _copy(PUBLISHED, to), folder)
    config = VllmConfig(
        urls=tuple(urls), publish="folder", turn_seconds=120.0, publish_seconds=60.0
    )
    engine = VllmEngine(
        Policy.load(STARTED).chat, SamplingConfig(max_turn_tokens=64), config, publication
    )
    stack.callback(engine.close)
    # No two engines publish under one name.
    asyncio.run(engine.publish(int(urls[0].rpartition(":")[2])))
    return lambda numbers: asyncio.run(_all_of(engine, numbers))


def _copy(policy: Path, to: Path) -> None:
    shutil.copytree(policy, to)


async def _all_of(engine: "VllmEngine", numbers: Sequence[int]) -> list[str | None]:
    return await asyncio.gather(*(_trajectory(engine, number) for number in numbers))


async def _trajectory(engine: "VllmEngine", number: int) -> str | None:
    """The ids of turns with a picture after each but the last; None where a turn is not to be
    had."""
    from genagent_rollout.vllm_engine import EngineError

    conversation = engine.open(f"{number} red circles", seed=number)
    try:
        for place in range(TURNS):
            turn = await conversation.turn()
            # Nothing can be said to a turn that did not end, or that holds a picture's token.
            if turn.cut_off or engine.chat.image_token_id in turn.ids or place + 1 == TURNS:
                break
            conversation.observe(Picture.of(noise(f"{number}/{place}")))
    except EngineError as error:
        print_line(f"lost: {error}")
        return None
    return str(conversation.tokens().ids.tolist())
