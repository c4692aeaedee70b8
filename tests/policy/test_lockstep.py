"""Passes that all ranks run together: blanks stand in the packed row and nothing comes of them."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from tests.policy.attempts import gradient_of

from genagent_policy import ALONE, Policy, TokenTrajectory
from genagent_policy.adapter import LoRA
from genagent_policy.lockstep import LockStep
from genagent_policy.optimizer import AdamWConfig, Optimizer
from genagent_policy.scoring import score
from genagent_policy.sft_loss import negative_log_likelihood


class Together(Optimizer):
    """One whose ranks keep step."""

    is_lockstep = True


def lockstep(policy: Policy) -> LockStep:
    optimizer = Together(policy.trainable_parameters(), AdamWConfig())
    return LockStep(policy, optimizer, ALONE)


def attempts(policy: Policy, *, pictured: bool) -> list[TokenTrajectory]:
    """Of several lengths."""
    pictures = [Image.new("RGB", (48, 48), "red")] if pictured else []
    turns = ["ab"] * len(pictures)
    return [policy.chat.render([*turns, words], "red", pictures) for words in ("c", "ab {}")]


def test_a_blank_is_there_where_there_is_nothing_or_no_picture_to_learn_from(each_path: Path):
    policy = Policy.load(each_path)
    keep, seen, unseen = lockstep(policy), *(attempts(policy, pictured=p) for p in (True, False))
    assert keep.blanks(seen) == keep.blanks([*unseen, seen[0]]) == []
    for [blank] in (keep.blanks(unseen), keep.blanks([])):
        assert len(blank.grids) == 1 and blank.num_policy_tokens == 0
    policy.freeze_vision()
    assert keep.blanks(seen) == keep.blanks(unseen) == []
    [blank] = lockstep(policy).blanks([])
    assert len(blank.grids) == 0 and blank.num_policy_tokens == 0


@pytest.mark.parametrize("lora", [None, LoRA(rank=2, alpha=4.0, part="both")])
def test_a_blank_gives_every_weight_a_gradient_and_changes_none(each_path: Path, lora: LoRA | None):
    policy = Policy.load(each_path, lora=lora)
    keep, unseen = lockstep(policy), attempts(policy, pictured=False)

    def learn(some: list[TokenTrajectory]) -> torch.Tensor:
        policy.model.zero_grad(set_to_none=True)
        negative_log_likelihood(policy, some)[0].backward()
        return gradient_of(policy)

    learn(unseen)
    reached = {id(one) for one in policy.trainable_parameters() if one.grad is not None}
    expected = {id(one): one.grad for one in policy.trainable_parameters()}
    learn([*unseen, *keep.blanks(unseen)])
    assert len(reached) < len(policy.trainable_parameters())
    for parameter in policy.trainable_parameters():
        own = expected[id(parameter)]
        assert parameter.grad is not None
        if own is None:
            assert not parameter.grad.any()
        else:
            torch.testing.assert_close(parameter.grad, own, rtol=1e-4, atol=1e-6)
    assert not learn(keep.blanks([])).any()
    assert all(parameter.grad is not None for parameter in policy.trainable_parameters())


def test_scores_with_blanks_are_those_without(each_path: Path):
    policy = Policy.load(each_path)
    every = attempts(policy, pictured=True) + attempts(policy, pictured=False)
    assert lockstep(policy).blanks(every[-1:])
    alone = score(policy, every, max_tokens=1)  # each by itself, so that some want a blank
    for found, expected in zip(
        score(policy, every, max_tokens=1, lockstep=lockstep(policy)), alone, strict=True
    ):
        torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)
