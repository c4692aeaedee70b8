"""A folder as Qwen3-VL is published: loaded, run like transformers runs it, saved for others."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.experiments.published_qwen3_vl import publish_random_qwen3

from genagent_policy import Policy, PolicyConfig, TokenTrajectory

LAST = 100
"""Tokens whose logits are compared: each has 0.6 MB of them."""

TURNS = ("<think>a red circle</think>", "again", "<answer>done</answer>")


@pytest.fixture(scope="module", params=[False, True], ids=["8B", "4B"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish_random_qwen3(tmp_path_factory.mktemp("published") / "policy", tied=request.param)


def load(folder: Path, **options) -> Policy:
    config = PolicyConfig(policy=str(folder), dtype="float32", **options)
    assert config.problems({}) == []
    return config.load({})


def pictures() -> list[Image.Image]:
    """One large enough to be taken as it is, and one that is made larger."""
    rng = np.random.default_rng(2)
    return [
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8))
        for size in [(290, 350), (90, 60)]
    ]


def logits_of(policy: Policy, trajectory: TokenTrajectory) -> torch.Tensor:
    batch = policy.collate([trajectory])
    with torch.no_grad():
        return policy.hidden_states(batch)[-LAST:] @ policy.head_weight.T


def logits_by_transformers(folder: Path, trajectory: TokenTrajectory) -> torch.Tensor:
    from transformers import AutoModelForImageTextToText, AutoProcessor

    loaded: Any = AutoModelForImageTextToText.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True
    )
    model, report = loaded
    assert type(model).__name__ == "Qwen3VLForConditionalGeneration"
    assert not report["missing_keys"] and not report["unexpected_keys"]
    processor = AutoProcessor.from_pretrained(folder)
    assert type(processor).__name__ == "Qwen3VLProcessor"
    seen = processor.image_processor(images=pictures(), return_tensors="pt")
    with torch.no_grad():
        return model(
            input_ids=trajectory.ids[None],
            mm_token_type_ids=(trajectory.ids == 151655)[None].int(),
            pixel_values=seen["pixel_values"],
            image_grid_thw=seen["image_grid_thw"],
            logits_to_keep=LAST,
        ).logits[0]


def test_tokens_are_the_published_ones(folder: Path):
    chat = load(folder).chat
    controls = (chat.turn_start_id, chat.turn_end_id, chat.vision_start_id, chat.vision_end_id)
    assert controls == (151644, 151645, 151652, 151653)
    assert chat.image_token_id == 151655
    trajectory = chat.render(TURNS, "three red circles", pictures())
    assert trajectory.grids.tolist() == [[1, 18, 22], [1, 20, 14]]
    assert trajectory.ids.tolist().count(151655) == 99 + 70
    # Tags of the protocol are tokens of their own here.
    assert chat.turn_ids("<think></think>") == [151667, 151668, 151645]
    observation = chat.observation_ids(trajectory.grids[0])
    assert [observation.count(tag) for tag in (151665, 151666)] == [1, 1]
    assert 151645 not in chat.turn_ids("a <|im_end|> b")[:-1]


def test_logits_are_those_of_transformers_before_and_after_saving(folder: Path, tmp_path: Path):
    policy = load(folder)
    trajectory = policy.chat.render(TURNS, "three red circles", pictures())
    found = logits_of(policy, trajectory)
    expected = logits_by_transformers(folder, trajectory)
    assert expected.shape == (LAST, 151_936)
    assert expected.std() > 0.3
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)
    with torch.no_grad():
        for parameter in policy.model.parameters():
            parameter.mul_(1.01)
    changed = logits_of(policy, trajectory)
    assert (changed - found).abs().max() > 1e-3
    policy.save(tmp_path / "policy")
    expected = logits_by_transformers(tmp_path / "policy", trajectory)
    torch.testing.assert_close(changed, expected, rtol=0, atol=2e-5)
    assert torch.equal(logits_of(load(tmp_path / "policy"), trajectory), changed)


def test_older_releases_find_their_keys_in_what_is_saved(folder: Path, tmp_path: Path):
    load(folder).save(tmp_path)
    published = json.loads((folder / "config.json").read_text())
    saved = json.loads((tmp_path / "config.json").read_text())
    for key in ("rope_theta", "rope_scaling", "vocab_size", "head_dim"):
        assert saved["text_config"][key] == published["text_config"][key], key
    assert saved["text_config"]["tie_word_embeddings"] == published["tie_word_embeddings"]
    for key in ("deepstack_visual_indexes", "num_position_embeddings", "patch_size"):
        assert saved["vision_config"][key] == published["vision_config"][key], key
    processor = json.loads((tmp_path / "preprocessor_config.json").read_text())
    assert (processor["patch_size"], processor["size"]["shortest_edge"]) == (16, 65536)
    assert processor["image_mean"] == [0.5, 0.5, 0.5]


def test_fewer_pixels_than_a_token_are_refused(folder: Path):
    (line,) = PolicyConfig(policy=str(folder), max_pixels=1023).problems({})
    assert "a picture of one token has 1024" in line
