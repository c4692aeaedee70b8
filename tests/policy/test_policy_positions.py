from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from genagent_policy import Policy, mrope_positions, picture_mask, picture_tokens

MERGE = 2
sides = st.integers(1, 4).map(lambda cells: cells * MERGE)
# Text lengths before each picture and after the last; two pictures never touch.
conversations = st.tuples(
    st.lists(st.tuples(st.integers(1, 9), sides, sides), max_size=3), st.integers(1, 9)
)


def _sequence(
    conversation: tuple[list[tuple[int, int, int]], int],
) -> tuple[torch.Tensor, torch.Tensor]:
    pieces, last = conversation
    mask: list[bool] = []
    for text, height, width in pieces:
        mask += [False] * text + [True] * (height * width // MERGE**2)
    sizes = [[1, height, width] for _, height, width in pieces]
    grids = torch.tensor(sizes, dtype=torch.int64).reshape(-1, 3)
    return torch.tensor(mask + [False] * last), grids


def test_one_picture_between_text():
    is_picture, grids = _sequence(([(2, 4, 6)], 2))
    positions, following = mrope_positions(is_picture, grids, merge_size=MERGE)
    assert positions.tolist() == [
        [0, 1, 2, 2, 2, 2, 2, 2, 5, 6],
        [0, 1, 2, 2, 2, 3, 3, 3, 5, 6],
        [0, 1, 2, 3, 4, 2, 3, 4, 5, 6],
    ]
    assert following == 7


@settings(max_examples=40, deadline=None)
@given(conversation=conversations)
def test_equals_the_model_own(each_policy: Policy, conversation):
    is_picture, grids = _sequence(conversation)
    image = each_policy.chat.image_token_id
    ids = torch.where(is_picture, image, 5)
    rope_index: Callable[..., tuple[torch.Tensor, torch.Tensor]]
    rope_index = each_policy.model.model.get_rope_index
    expected, _ = rope_index(
        ids[None],
        mm_token_type_ids=is_picture[None].int(),
        image_grid_thw=grids if len(grids) else None,
    )
    positions, following = mrope_positions(is_picture, grids, merge_size=MERGE)
    assert positions.tolist() == expected[:, 0].tolist()
    assert following == int(expected.max()) + 1


@settings(max_examples=40, deadline=None)
@given(conversation=conversations, data=st.data())
def test_piece_by_piece_equals_at_once(conversation, data):
    is_picture, grids = _sequence(conversation)
    whole, end = mrope_positions(is_picture, grids, merge_size=MERGE)
    cuts = [at for at in range(1, len(is_picture)) if not is_picture[at]]
    cut = data.draw(st.sampled_from(cuts)) if cuts else 0
    before = 0
    for grid in grids:
        size = picture_tokens(grid, merge_size=MERGE)
        before += int(is_picture[:cut].sum()) >= size + sum(
            picture_tokens(other, merge_size=MERGE) for other in grids[:before]
        )
    first, middle = mrope_positions(is_picture[:cut], grids[:before], merge_size=MERGE)
    second, last = mrope_positions(is_picture[cut:], grids[before:], merge_size=MERGE, start=middle)
    assert torch.cat([first, second], dim=1).tolist() == whole.tolist()
    assert last == end


def test_a_sampled_image_token_is_text():
    ids = torch.tensor([1, 9, 9, 2])
    policy = torch.tensor([False, True, False, False])
    assert picture_mask(ids, policy, image_token_id=9).tolist() == [False, False, True, False]


def test_refuses_tokens_that_are_not_the_pictures():
    grids = torch.tensor([[1, 4, 4]])
    with pytest.raises(ValueError, match="3 picture tokens for 1 pictures"):
        mrope_positions(torch.tensor([False, True, True, True]), grids, merge_size=MERGE)
    with pytest.raises(ValueError, match="not consecutive"):
        mrope_positions(torch.tensor([True, True, False, True, True]), grids, merge_size=MERGE)
