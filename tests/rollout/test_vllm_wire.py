"""What is sent to vLLM and read from it."""

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.rollout.vllm_talk import picture

from genagent_policy import Policy
from genagent_rewards import Picture
from genagent_rollout import SamplingConfig
from genagent_rollout.record import TokenRecord
from genagent_rollout.vllm_wire import Choice, Generated, Placeholders, Prompt, Span

SHOWN = [Picture.of(picture(seed)) for seed in range(2)]


def talked(policy: Policy, shown: Sequence[int]) -> Prompt:
    """A prompt, and a turn of one word before each picture."""
    record = TokenRecord("red", policy.chat, SamplingConfig())
    for number in shown:
        record.begin_turn()
        for token in (40, policy.chat.turn_end_id):
            record.sampled(token, -0.5)
        pixels, grids = policy.chat.encode_pictures([SHOWN[number].image])
        record.observe(pixels[0], grids[0])
    return Prompt.of(record, [SHOWN[number] for number in shown])


def generated(prompt: Prompt, ids: Sequence[int], spans: Sequence[Span]) -> Generated:
    choice = Choice.model_validate(
        {
            "token_ids": [5],
            "finish_reason": "length",
            "logprobs": {"content": [{"token_id": 5, "logprob": -1.0}]},
        }
    )
    return Generated(
        prompt_token_ids=list(ids),
        mm_placeholders=Placeholders(image=list(spans)),
        choices=[choice],
    )


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shown=st.lists(st.integers(0, 1), max_size=4))
def test_pads_in_their_places_make_the_policy_s_own_prompt(
    tiny_policy: Policy, shown: list[int]
) -> None:
    prompt = talked(tiny_policy, shown)
    pad, spans = tiny_policy.chat.image_token_id, iter(prompt.spans)
    ids: list[int] = []
    for token in prompt.short_ids:
        if token == pad:
            span = next(spans)
            assert span.offset == len(ids)
            ids += [pad] * span.length
        else:
            ids.append(token)
    assert tuple(ids) == prompt.ids
    assert prompt.short_ids.count(pad) == len(shown) == len(prompt.spans)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_other_token_is_found(tiny_policy: Policy, data: st.DataObject) -> None:
    prompt = talked(tiny_policy, [0])
    place = data.draw(st.integers(0, len(prompt.ids) - 1))
    ids = [*prompt.ids[:place], 7777, *prompt.ids[place + 1 :]]
    expected = f"position {place} of the prompt is {prompt.ids[place]} here and 7777 there"
    assert prompt.difference(generated(prompt, ids, prompt.spans)) == expected
    assert prompt.difference(generated(prompt, prompt.ids, prompt.spans)) is None


def test_a_longer_prompt_and_a_shifted_picture_are_found(tiny_policy: Policy) -> None:
    prompt = talked(tiny_policy, [0])
    longer = prompt.difference(generated(prompt, [*prompt.ids, 9], prompt.spans))
    assert longer == f"position {len(prompt.ids)} of the prompt is missing here and 9 there"
    (span,) = prompt.spans
    moved = Span(offset=span.offset + 1, length=span.length)
    shifted = prompt.difference(generated(prompt, prompt.ids, [moved]))
    assert shifted is not None
    assert f"offset={span.offset} length={span.length} here" in shifted
    assert prompt.difference(generated(prompt, prompt.ids, [])) is not None


def test_a_picture_token_that_the_agent_wrote_is_not_sent(tiny_policy: Policy) -> None:
    record = TokenRecord("red", tiny_policy.chat, SamplingConfig())
    record.sampled(tiny_policy.chat.image_token_id, -9.0)
    with pytest.raises(ValueError, match="the agent has written a picture token"):
        Prompt.of(record, [])


@pytest.mark.parametrize(
    "content",
    [
        [{"token_id": 6, "logprob": -1.0}],
        [{"token": "red", "logprob": -1.0}],
        [{"token_id": 5, "logprob": float("nan")}],
        [{"token_id": 5, "logprob": 0.5}],
        [],
    ],
)
def test_log_probs_of_other_tokens_or_of_none_are_refused(content: list[object]) -> None:
    with pytest.raises(ValidationError):
        Choice.model_validate(
            {"token_ids": [5], "finish_reason": "stop", "logprobs": {"content": content}}
        )
