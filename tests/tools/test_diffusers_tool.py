"""Drawing with real pipelines of five families: order, seeds, sizes, failures."""

import pytest
import torch
from tests.tools.tiny_tools import FAMILIES, build, changed, differs, red, rows_of_passes

from genagent_tools import ToolError


@pytest.fixture(scope="module", params=list(FAMILIES))
def tool(request):
    return build(request.param)


def test_pictures_come_in_order_and_do_not_depend_on_their_batch(tool):
    prompts, seeds = ["red circle", "circle", "red"], [5, 6, 7]
    together = tool.generate(prompts, seeds)
    alone = [tool.generate([p], [s])[0] for p, s in zip(prompts, seeds, strict=True)]
    assert [picture.size for picture in together] == [(32, 32)] * 3
    assert all(differs(a, b) <= 1 for a, b in zip(together, alone, strict=True))
    assert differs(together[0], together[1]) > 1
    assert prompts == ["red circle", "circle", "red"]


def test_a_seed_decides_the_picture(tool):
    first, again, other = tool.generate(["red circle"] * 3, [1, 1, 2])
    assert differs(first, again) <= 1
    assert differs(first, other) > 1


def test_settings_of_one_call_change_size_and_steps_and_nothing_after(tool):
    rows = rows_of_passes(tool)
    before = red(tool)
    passes = len(rows)
    wide = red(tool, width=64, steps=3)
    assert wide.size == (64, 32)
    assert len(rows) - passes == passes * 3 // 2
    assert differs(before, red(tool)) <= 1


def test_nothing_asked_nothing_drawn(tool):
    assert tool.generate([], []) == []


def test_prompts_and_seeds_must_match(tool):
    with pytest.raises(ValueError, match="2 prompts but 1 seeds"):
        tool.generate(["red", "circle"], [1])


def test_sana_with_binning_draws_its_own_size_and_crops():
    tool = build("sana-1.5-1.6b")
    latents = []
    tool.pipeline.transformer.register_forward_pre_hook(
        lambda _module, arguments: latents.append(arguments[0].shape[-2:])
    )
    red(tool)
    picture = red(changed(tool, options={"use_resolution_binning": True}, steps=1))
    assert [tuple(shape) for shape in latents] == [(16, 16), (16, 16), (512, 512)]
    assert picture.size == (32, 32)


def test_a_supersampled_picture_is_the_average_of_a_larger_one():
    tool = build("sana-1.5-1.6b")
    small = red(changed(tool, width=16, height=16, supersampling=2))
    assert small.size == (16, 16)
    assert differs(small, red(tool).reduce(2)) == 0


def test_a_failing_pipeline_is_a_tool_error_that_says_why():
    broken = build("flux-8step")
    broken.pipeline.transformer.x_embedder = torch.nn.Linear(3, 3)
    with pytest.raises(ToolError, match=r"failed on 1 prompts: .*mat1 and mat2"):
        broken.generate(["red"], [1])


def test_no_more_than_max_batch_are_drawn_at_once_each_with_its_own_seed():
    tool = build("flux-8step")
    rows = rows_of_passes(tool)
    pictures = tool.generate(["red"] * 5, [1, 2, 3, 4, 5])
    assert rows == [2, 2, 2, 2, 1, 1]
    assert len({picture.tobytes() for picture in pictures}) == 5


def test_what_a_pipeline_will_not_take_is_a_tool_error_too():
    def refuse(*_):
        raise ValueError("no such shape")

    strict = build("flux-8step")
    strict.pipeline.transformer.register_forward_pre_hook(refuse)
    with pytest.raises(ToolError, match="failed on 1 prompts: no such shape"):
        red(strict)
