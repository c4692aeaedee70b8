"""Conversations with servers that speak as vLLM does."""

import asyncio
import io
from pathlib import Path

import pytest
from PIL import Image
from tests.rollout.fake_vllm import logprob
from tests.rollout.vllm_talk import Serve, engine_of, expected, picture, serve, talk

from genagent_policy import Policy
from genagent_rewards import Picture
from genagent_rollout.vllm_engine import EngineError

__all__ = ["serve"]


@pytest.mark.parametrize("shape", ["0.33", "0.31"])
def test_turns_and_pictures_are_kept_as_they_were_sampled(
    serve: Serve, tiny_policy: Policy, shape: str
) -> None:
    server = serve(shape=shape)
    tokens = asyncio.run(talk(engine_of(tiny_policy, server), rounds=3))
    assert tokens.ids.tolist() == expected(tiny_policy, "default", rounds=3)
    chosen = tokens.ids[tokens.policy_mask].tolist()
    assert tokens.logprobs[tokens.policy_mask].tolist() == pytest.approx(
        [logprob(token) for token in chosen]
    )
    assert tokens.logprobs[~tokens.policy_mask].tolist() == [0.0] * int((~tokens.policy_mask).sum())
    assert tokens.grids.tolist() == [[1, 4, 8], [1, 6, 6]]


def test_pictures_travel_once_a_pad_under_their_own_name(serve: Serve, tiny_policy: Policy) -> None:
    server = serve()
    asyncio.run(talk(engine_of(tiny_policy, server), rounds=3))
    pads = [body["token_ids"].count(tiny_policy.chat.image_token_id) for body in server.bodies]
    assert pads == [0, 1, 2]
    shown = [Picture.of(picture(0)), Picture.of(picture(1))]
    parts = server.bodies[2]["content_parts"]
    assert [part["uuid"] for part in parts] == [each.name for each in shown]
    seen = [Picture.of(Image.open(io.BytesIO(png))) for png in server.pictures]
    assert seen == [shown[0], *shown]
    assert len(set(server.sessions)) == 1
    assert None not in server.sessions


def test_a_turn_may_be_as_long_as_what_is_left(serve: Serve, tiny_policy: Policy) -> None:
    server = serve()
    engine = engine_of(
        tiny_policy,
        server,
        max_turn_tokens=9,
        max_response_tokens=3,
        temperature=0.5,
        top_p=0.9,
        top_k=7,
    )
    conversation = engine.open("red", seed=3)
    turn = asyncio.run(conversation.turn())
    asked = server.bodies[0]["sampling_params"]
    assert (asked["max_tokens"], asked["temperature"]) == (3, 0.5)
    assert (asked["top_p"], asked["top_k"]) == (0.9, 7)
    assert asked["stop_token_ids"] == [tiny_policy.chat.turn_end_id]
    assert asked["ignore_eos"] is True
    assert len(turn.ids) <= 3
    ended = int(conversation.tokens().ids[-1]) == tiny_policy.chat.turn_end_id
    assert turn.cut_off is not ended


def test_a_picture_answers_a_turn(serve: Serve, tiny_policy: Policy) -> None:
    conversation = engine_of(tiny_policy, serve()).open("red", seed=3)
    with pytest.raises(ValueError, match="no turn has ended"):
        conversation.observe(Picture.of(picture(0)))


def test_other_pixel_limits_name_the_first_place_that_differs(
    serve: Serve, tiny_policy: Policy, tiny_policy_path: Path
) -> None:
    server = serve()
    smaller = Policy.load(tiny_policy_path, max_pixels=32 * 32)
    ids = expected(tiny_policy, "default")
    first = ids.index(tiny_policy.chat.image_token_id)
    with pytest.raises(EngineError, match="pixel limits differ") as error:
        asyncio.run(talk(engine_of(smaller, server)))
    # Here two tokens and then the end of the picture, there eight.
    position = first + 2
    end, pad = smaller.chat.vision_end_id, smaller.chat.image_token_id
    assert f"position {position} of the prompt is {end} here and {pad} there" in str(error.value)
    assert server.url in str(error.value)
    assert len(server.bodies) == 2


@pytest.mark.parametrize("fault", ["dies", "hangs", "aborts", "lies"])
def test_a_turn_that_a_server_does_not_give_is_had_elsewhere(
    serve: Serve, tiny_policy: Policy, fault: str
) -> None:
    bad, good = serve(fault=lambda number: fault), serve()
    engine = engine_of(tiny_policy, bad, good, turn_seconds=3.0)
    tokens = asyncio.run(talk(engine))
    assert bad.bodies
    assert tokens.ids.tolist() == expected(tiny_policy, "default")
    assert engine.counts.turns == 2


def test_a_conversation_goes_on_where_its_server_has_died(
    serve: Serve, tiny_policy: Policy
) -> None:
    first, second = serve(), serve()
    engine = engine_of(tiny_policy, first, second)
    conversation = engine.open("red", seed=3)

    async def both_turns() -> None:
        await conversation.turn()
        conversation.observe(Picture.of(picture(0)))
        (first if first.bodies else second).stop()
        await conversation.turn()

    asyncio.run(both_turns())
    assert conversation.tokens().ids.tolist() == expected(tiny_policy, "default")
    assert [len(server.bodies) for server in (first, second)] == [1, 1]


def test_conversations_stay_with_the_server_that_has_computed_them(
    serve: Serve, tiny_policy: Policy
) -> None:
    servers = serve(), serve()
    engine = engine_of(tiny_policy, *servers)

    async def several() -> None:
        await asyncio.gather(*(talk(engine, rounds=3, seed=seed) for seed in range(8)))

    asyncio.run(several())
    mine, theirs = (set(server.sessions) for server in servers)
    assert mine
    assert theirs
    assert mine & theirs == set()


def test_a_server_without_the_endpoint_says_what_it_wants(
    serve: Serve, tiny_policy: Policy
) -> None:
    server = serve(scale_out=False)
    with pytest.raises(EngineError, match=f"{server.url}.*403.*--enable-scale-out"):
        asyncio.run(talk(engine_of(tiny_policy, server)))
