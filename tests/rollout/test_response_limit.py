"""The limit on a whole response: where it cuts, and what it leaves alone."""

from collections.abc import Callable

import pytest
import torch
from tests.rollout.conftest import ScriptedEngine
from tests.rollout.conversations import (
    conversation,
    picture,
    recomputed,
    talk,
    together,
    turns_of,
)

from genagent_policy import Policy

Scripted = Callable[..., ScriptedEngine]


def test_the_response_runs_out_in_its_second_turn(tiny_policy: Policy, scripted: Scripted):
    chat = tiny_policy.chat
    first, second = [7] * 4 + [chat.turn_end_id], [8] * 9 + [chat.turn_end_id]
    shown = chat.observation_ids(chat.encode_pictures([picture(1).image])[1][0])
    talked = [*first, *shown, *second]
    for cut, (left, said) in {
        True: (9, second[:9]),  # Only the end of the turn is missing.
        False: (10, second),  # Used up to the last token.
    }.items():
        limit = len(first) + len(shown) + left
        engine = scripted([[first, second]], max_response_tokens=limit)
        ((trajectory, turns),) = together(talk(engine, "red", 0, [picture(1)]))
        assert not turns[0].cut_off
        assert (turns[1].ids, turns[1].cut_off) == (tuple(said), cut)
        prompt = chat.prompt_ids("red")
        assert trajectory.ids.tolist() == [*prompt, *talked[: len(first) + len(shown) + left]]
        again = recomputed(tiny_policy, [trajectory], 1.0)[0]
        torch.testing.assert_close(again, trajectory.logprobs, rtol=0, atol=2e-5)


def test_a_conversation_out_of_response_stops_beside_those_that_go_on(
    tiny_policy: Policy, scripted: Scripted
):
    chat = tiny_policy.chat
    shown = len(chat.observation_ids(chat.encode_pictures([picture(1).image])[1][0]))
    lengths = [[3, 20], [12, 20], [5, 9]]
    scripts = [turns_of(tiny_policy, row) for row in lengths]
    whole = conversation(scripted(scripts))
    # Just what the first needs; the second has used 13 of these 25, so that 12 of its last 21 fit.
    cut = conversation(scripted(scripts, max_response_tokens=4 + shown + 21))
    short = len(whole[1]) - 9
    assert [len(trajectory) for trajectory in cut] == [len(whole[0]), short, len(whole[2])]
    for stopped, free in zip(cut, whole, strict=True):
        tokens = len(stopped)
        assert stopped.ids.tolist() == free.ids[:tokens].tolist()
        assert stopped.policy_mask.tolist() == free.policy_mask[:tokens].tolist()
        torch.testing.assert_close(stopped.logprobs, free.logprobs[:tokens], rtol=0, atol=2e-5)
    # To the bit, against those beside one that ends its turn by itself at the same step.
    said = cut[1].ids[cut[1].policy_mask][13:].tolist()
    scripts[1] = [scripts[1][0], [*said[:-1], chat.turn_end_id]]
    ended = conversation(scripted(scripts))
    for row in (0, 2):
        assert cut[row].ids.tolist() == ended[row].ids.tolist()
        assert cut[row].logprobs.tolist() == ended[row].logprobs.tolist()


def test_a_response_limit_that_nobody_reaches_changes_nothing(
    tiny_policy: Policy, scripted: Scripted
):
    scripts = [turns_of(tiny_policy, row) for row in [[3, 20], [12, 20], [5, 9]]]
    whole = conversation(scripted(scripts))
    longest = max(
        len(trajectory) - int(trajectory.policy_mask.nonzero()[0]) for trajectory in whole
    )
    limited_ones = conversation(scripted(scripts, max_response_tokens=longest))
    for free, limited in zip(whole, limited_ones, strict=True):
        assert limited.ids.tolist() == free.ids.tolist()
        assert limited.logprobs.tolist() == free.logprobs.tolist()


@pytest.mark.parametrize("left", [1, 0, -1, -1000])
@pytest.mark.parametrize("ends", [False, True])
def test_a_picture_is_never_cut_and_leaves_a_turn_of_one_token(
    tiny_policy: Policy, scripted: Scripted, left: int, ends: bool
):
    chat = tiny_policy.chat
    first = [*[7] * 4, chat.turn_end_id]
    second = [chat.turn_end_id] if ends else [7, 7, chat.turn_end_id]
    shown = chat.observation_ids(chat.encode_pictures([picture(1).image])[1][0])
    limit = max(len(first) + len(shown) + left, len(first))
    engine = scripted([[first, second]], max_response_tokens=limit)
    ((trajectory, turns),) = together(talk(engine, "red", 0, [picture(1)]))
    assert not turns[0].cut_off
    turn = turns[1]
    assert turn.ids == tuple(second[:1])
    # The end of a turn is no excuse where there was no room for it.
    assert turn.cut_off is (left < 1 or not ends)
    assert trajectory.ids.tolist() == [*chat.prompt_ids("red"), *first, *shown, *second[:1]]
    assert len(trajectory.grids) == 1
