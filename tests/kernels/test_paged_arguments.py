"""What attention over pages refuses, and says so."""

import math
from typing import Any

import pytest
import torch

import genagent_kernels as kernels


def attention_arguments() -> dict[str, Any]:
    return {
        "query": torch.zeros(2, 4, 8),
        "key_pages": torch.zeros(3, 4, 2, 8),
        "value_pages": torch.zeros(3, 4, 2, 8),
        "page_table": torch.tensor([[0, 1], [2, 0]]),
        "lengths": torch.tensor([8, 3]),
    }


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"query": torch.zeros(2, 4, 6)}, r"query wants torch.float32 \[rows, query_heads, 8\]"),
        ({"query": torch.zeros(2, 3, 8)}, "query has 3 heads; wants a multiple of key_pages' 2"),
        ({"query": torch.zeros(2, 4, 8).half()}, "query wants torch.float32"),
        ({"value_pages": torch.zeros(3, 4, 2, 6)}, "value_pages wants"),
        ({"key_pages": torch.zeros(3, 4, 8)}, "key_pages wants floating"),
        ({"lengths": torch.tensor([9, 3])}, "lengths reaches from 3 to 9; wants 0 to 8"),
        ({"lengths": torch.tensor([-1, 3])}, "lengths reaches from -1"),
        ({"lengths": torch.tensor([1.0, 3.0])}, "lengths wants integer"),
        ({"page_table": torch.tensor([[0, 3], [2, 0]])}, "page_table names page 3; wants 0 to 2"),
        ({"page_table": torch.tensor([[0, 1]])}, "page_table wants integer"),
        ({"page_table": torch.tensor([[0, -1], [2, 0]])}, "page_table names page -1"),
        (
            {name: torch.zeros(3, 5, 2, 8)[:, :4] for name in ("key_pages", "value_pages")},
            "key_pages wants one page right after the other",
        ),
        ({"scale": math.nan}, "scale is nan"),
        ({"backend": "cuda"}, "backend is 'cuda'"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_attention_names_the_wrong_argument(wrong, message):
    with pytest.raises(ValueError, match=message):
        kernels.decode_attention(**(attention_arguments() | wrong))


def test_a_plan_of_a_wrong_table_is_refused():
    arguments = attention_arguments()
    pages, table = arguments["key_pages"], torch.tensor([[0, -1], [2, 0]])
    with pytest.raises(ValueError, match="page_table names page -1"):
        kernels.plan_decode(pages, table, arguments["lengths"])


def test_a_page_past_a_sequences_length_may_be_anything():
    arguments = attention_arguments()
    numbered = torch.arange(3.0)[:, None, None, None] * torch.ones(3, 4, 2, 8)
    arguments["key_pages"] = arguments["value_pages"] = numbered
    arguments["page_table"] = torch.tensor([[0, 1], [2, -7]])
    found = kernels.decode_attention(**arguments)
    torch.testing.assert_close(found, torch.tensor([0.5, 2.0])[:, None, None].expand(2, 4, 8))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"query": torch.zeros(2, 4, 8)},
            r"query wants torch.float32 \[rows, new, query_heads, 8\]",
        ),
        ({"starts": torch.tensor([8, 3])}, "starts reaches from 3 to 8; wants 0 to 7"),
        ({"page_table": torch.tensor([[0, 1], [3, 0]])}, "page_table names page 3; wants 0 to 2"),
        ({"scale": math.inf}, "scale is inf"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_prefill_names_the_wrong_argument(wrong, message):
    arguments = attention_arguments() | {"query": torch.zeros(2, 3, 4, 8)}
    del arguments["lengths"]
    with pytest.raises(ValueError, match=message):
        kernels.prefill_attention(**(arguments | {"starts": torch.tensor([5, 3])} | wrong))
