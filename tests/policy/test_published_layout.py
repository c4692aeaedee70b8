"""A folder as Qwen2.5-VL is published: loaded, run like transformers runs it, saved for others."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.experiments.published_layout import publish_random

from genagent_policy import Policy, PolicyConfig, TokenTrajectory

LAST = 100
"""Tokens whose logits are compared: each has 0.6 MB of them."""

TURNS = ("<think>a red circle</think>", "again", "<answer>done</answer>")


@pytest.fixture(scope="module", params=[False, True], ids=["7B", "3B"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish_random(tmp_path_factory.mktemp("published") / "policy", tied=request.param)


def load(folder: Path, **options) -> Policy:
    config = PolicyConfig(policy=str(folder), dtype="float32", **options)
    assert config.problems({}) == []
    return config.load({})


def pictures() -> list[Image.Image]:
    """Of several windows of the vision tower, 112 pixels wide, and of less than one."""
    rng = np.random.default_rng(2)
    return [
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8))
        for size in [(290, 230), (90, 60)]
    ]


def logits_of(policy: Policy, trajectory: TokenTrajectory) -> torch.Tensor:
    batch = policy.collate([trajectory])
    with torch.no_grad():
        return policy.hidden_states(batch)[-LAST:] @ policy.head_weight.T


def test_tokens_are_the_published_ones(folder: Path):
    chat = load(folder).chat
    controls = (chat.turn_start_id, chat.turn_end_id, chat.vision_start_id, chat.vision_end_id)
    assert controls == (151644, 151645, 151652, 151653)
    assert chat.image_token_id == 151655
    trajectory = chat.render(TURNS, "three red circles", pictures())
    assert trajectory.grids.tolist() == [[1, 20, 16], [1, 6, 4]]
    assert trajectory.ids.tolist().count(151655) == 80 + 6
    assert chat.decode(chat.turn_ids("a <|im_end|> b")) == "a <|im_end|> b"
    assert 151645 not in chat.turn_ids("a <|im_end|> b")[:-1]


def test_logits_are_those_of_transformers(folder: Path):
    from transformers import Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor

    policy = load(folder)
    trajectory = policy.chat.render(TURNS, "three red circles", pictures())
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    processor = Qwen2_5_VLProcessor.from_pretrained(folder)
    seen = processor.image_processor(images=pictures(), return_tensors="pt")
    with torch.no_grad():
        expected = model(
            input_ids=trajectory.ids[None],
            mm_token_type_ids=(trajectory.ids == 151655)[None].int(),
            pixel_values=seen["pixel_values"],
            image_grid_thw=seen["image_grid_thw"],
            logits_to_keep=LAST,
        ).logits[0]
    assert expected.shape == (LAST, 152_064)
    assert expected.std() > 0.3
    torch.testing.assert_close(logits_of(policy, trajectory), expected, rtol=0, atol=2e-5)


def test_saved_and_loaded_is_the_same(folder: Path, tmp_path: Path):
    policy = load(folder)
    trajectory = policy.chat.render(TURNS, "three red circles", pictures())
    policy.save(tmp_path / "policy")
    again = load(tmp_path / "policy")
    rendered = again.chat.render(TURNS, "three red circles", pictures())
    assert torch.equal(rendered.ids, trajectory.ids)
    assert torch.equal(rendered.pixel_values, trajectory.pixel_values)
    assert torch.equal(logits_of(again, rendered), logits_of(policy, trajectory))
    assert dict(again.processor.image_processor.size) == {
        "shortest_edge": 3136,
        "longest_edge": 12845056,
    }


def test_older_releases_find_their_keys_in_what_is_saved(folder: Path, tmp_path: Path):
    """By hand with transformers 4.57.6: the same logits, tokens and pixels from this folder."""
    policy = load(folder)
    policy.save(tmp_path)
    published = json.loads((folder / "config.json").read_text())
    saved = json.loads((tmp_path / "config.json").read_text())
    for key in ("rope_theta", "rope_scaling", "tie_word_embeddings", "vocab_size"):
        assert saved["text_config"][key] == published[key], key
    assert saved["torch_dtype"] == "float32"
    processor = json.loads((tmp_path / "preprocessor_config.json").read_text())
    for key, value in json.loads((folder / "preprocessor_config.json").read_text()).items():
        assert key == "processor_class" or processor[key] == value, key
    tokenizer = json.loads((tmp_path / "tokenizer_config.json").read_text())
    special = json.loads((folder / "tokenizer_config.json").read_text())
    assert tokenizer["additional_special_tokens"] == special["additional_special_tokens"]
    assert "extra_special_tokens" not in tokenizer  # There it must be a mapping.
    assert tokenizer["tokenizer_class"] == "Qwen2Tokenizer"


def test_a_limit_of_pixels_is_saved_with_the_policy(folder: Path, tmp_path: Path):
    policy = load(folder, max_pixels=150 * 150)
    trajectory = policy.chat.render(TURNS, "three red circles", pictures())
    assert trajectory.grids.tolist() == [[1, 12, 8], [1, 6, 4]]
    policy.save(tmp_path / "policy")
    assert torch.equal(
        load(tmp_path / "policy").chat.render(TURNS, "three red circles", pictures()).grids,
        trajectory.grids,
    )
    saved = json.loads((tmp_path / "policy" / "preprocessor_config.json").read_text())
    assert (saved["min_pixels"], saved["max_pixels"]) == (3136, 22500)
