"""Wrong arguments are named before anything is computed."""

from typing import Any

import pytest
import torch

import genagent_kernels as kernels

pytestmark = pytest.mark.usefixtures("unchecked")


def arguments() -> dict[str, Any]:
    return {
        "hidden": torch.randn(3, 4),
        "weight": torch.randn(5, 4),
        "target": torch.tensor([0, 4, 2]),
        "old_logprob": torch.zeros(3),
        "advantage": torch.ones(3),
        "mask": torch.ones(3, dtype=torch.bool),
        "token_weight": torch.ones(3),
    }


WRONG = [
    ({"hidden": torch.randn(3)}, "hidden wants floating"),
    ({"hidden": torch.ones(3, 4, dtype=torch.int64)}, "hidden wants floating"),
    ({"weight": torch.randn(4, 5)}, r"weight wants \[V, 4\]"),
    ({"weight": torch.randn(0, 4)}, r"weight wants \[V, 4\]"),
    ({"weight": torch.randn(5, 4).bfloat16()}, "weight wants the dtype"),
    ({"target": torch.tensor([0, 1])}, r"target wants \[3\]"),
    ({"target": torch.tensor([0, 1, 2], dtype=torch.int32)}, "target wants int64"),
    ({"target": torch.tensor([0, 5, 2])}, "target reaches from 0 to 5; wants 0 to 4"),
    ({"target": torch.tensor([0, -100, 2])}, "target reaches from -100"),
    ({"temperature": 0.0}, "temperature is 0.0"),
    ({"temperature": float("nan")}, "temperature is nan"),
    ({"backend": "jax"}, "backend is 'jax'"),
]

WRONG_LOSS = [
    ({"mask": torch.ones(3)}, "mask wants bool"),
    ({"mask": torch.ones(4, dtype=torch.bool)}, r"mask wants \[3\]"),
    ({"old_logprob": torch.zeros(3, 1)}, r"old_logprob wants \[3\]"),
    ({"advantage": torch.tensor([1, 0, 1])}, "advantage wants floating"),
    ({"token_weight": torch.tensor(1.0)}, r"token_weight wants \[3\]"),
    ({"clip_low": 1.5}, "clip_low is 1.5"),
    ({"clip_high": -0.1}, "clip_high is -0.1"),
    ({"dual_clip": 1.0}, "dual_clip is 1.0; wants a number above 1"),
    ({"dual_clip": float("inf")}, "dual_clip is inf"),
]


@pytest.mark.parametrize(("wrong", "message"), WRONG + WRONG_LOSS)
def test_the_loss_names_the_wrong_argument(wrong, message):
    with pytest.raises(ValueError, match=message):
        kernels.grpo_loss(**(arguments() | wrong))


@pytest.mark.parametrize(("wrong", "message"), WRONG)
def test_log_probs_name_the_wrong_argument(wrong, message):
    given = {name: arguments()[name] for name in ("hidden", "weight", "target")}
    with pytest.raises(ValueError, match=message):
        kernels.linear_logprob(**(given | wrong))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"logprob": torch.zeros(3, 1)}, r"logprob wants \[N\]"),
        ({"logprob": torch.zeros(3, dtype=torch.int64)}, "logprob wants floating"),
        ({"old_logprob": torch.zeros(2)}, r"old_logprob wants \[3\]"),
        ({"mask": torch.ones(3)}, "mask wants bool"),
        ({"clip_high": float("inf")}, "clip_high is inf"),
    ],
)
def test_the_ratio_names_the_wrong_argument(wrong, message):
    given = {"logprob": torch.zeros(3), "old_logprob": torch.zeros(3)}
    given["mask"] = torch.ones(3, dtype=torch.bool)
    with pytest.raises(ValueError, match=message):
        kernels.logprob_ratio(**(given | wrong))


def test_targets_outside_the_mask_may_be_anything():
    given: dict[str, Any] = arguments() | {
        "target": torch.tensor([0, -100, 2]),
        "mask": torch.tensor([True, False, True]),
    }
    assert kernels.grpo_loss(**given).loss.isfinite()
