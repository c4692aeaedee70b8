import math
from typing import Any

import pytest
import torch

from genagent_policy import TokenTrajectory


def _trajectory(**changes) -> TokenTrajectory:
    fields = {
        "ids": torch.arange(4),
        "policy_mask": torch.tensor([False, False, True, True]),
        "logprobs": torch.zeros(4),
        "pixel_values": torch.zeros(0, 12, dtype=torch.uint8),
        "grids": torch.zeros(0, 3, dtype=torch.int64),
    }
    return TokenTrajectory(**{**fields, **changes})


def test_counts():
    assert len(_trajectory()) == 4
    assert _trajectory().num_policy_tokens == 2


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"logprobs": torch.zeros(3)}, "logprobs has shape"),
        ({"policy_mask": torch.tensor([False, True])}, "policy_mask has shape"),
        ({"policy_mask": torch.tensor([True, False, True, True])}, "starts with a prompt"),
        ({"grids": torch.tensor([[1, 2, 2]])}, "grids hold 4 patches, pixels 0"),
        ({"pixel_values": torch.zeros(0, 12)}, "pixel_values are torch.float32"),
        ({"temperature": -0.5}, "temperature is -0.5"),
        ({"temperature": math.nan}, "temperature is nan"),
        ({"temperature": math.inf}, "temperature is inf"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_refuses_parts_that_do_not_fit(changes: dict[str, Any], complaint: str):
    with pytest.raises(ValueError, match=complaint):
        _trajectory(**changes)
