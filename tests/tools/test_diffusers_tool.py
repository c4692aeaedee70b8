"""The diffusers tool over a real FluxPipeline with tiny random weights."""

import pytest
import torch
from diffusers import (
    AutoencoderKL,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
)
from PIL import ImageChops
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    PreTrainedTokenizerFast,
    T5Config,
    T5EncoderModel,
)

from genagent_tools import DiffusersConfig, DiffusersTool, ToolError

CONFIG = DiffusersConfig(steps=2, guidance=0.0, side=32, text_tokens=8, max_batch=2)


@pytest.fixture(scope="module")
def pipeline_folder(tmp_path_factory):
    torch.manual_seed(0)
    vocabulary = {"<pad>": 0, "</s>": 1, "<unk>": 2, "red": 3, "circle": 4}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        model_max_length=8,
    )
    clip = CLIPTextConfig(
        vocab_size=5,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=8,
        eos_token_id=1,
    )
    t5 = T5Config(vocab_size=5, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    pipeline = FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=AutoencoderKL(
            block_out_channels=(8, 8),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            layers_per_block=1,
            latent_channels=2,
            norm_num_groups=4,
            use_quant_conv=False,
            use_post_quant_conv=False,
            shift_factor=0.0,
            scaling_factor=1.0,
        ),
        text_encoder=CLIPTextModel(clip),
        tokenizer=tokenizer,
        text_encoder_2=T5EncoderModel(t5),
        tokenizer_2=tokenizer,
        transformer=FluxTransformer2DModel(
            patch_size=1,
            in_channels=8,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=16,
            pooled_projection_dim=16,
            axes_dims_rope=(4, 6, 6),
        ),
    )
    folder = tmp_path_factory.mktemp("pipeline")
    pipeline.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def tool(pipeline_folder):
    return DiffusersTool.load(pipeline_folder, CONFIG)


def differs(one, other) -> int:
    """Largest difference of two pictures, of 255."""
    return max(high for _, high in ImageChops.difference(one, other).getextrema())


def test_pictures_come_in_order_and_do_not_depend_on_their_batch(tool):
    prompts, seeds = ["red circle", "circle", "red"], [5, 6, 7]
    together = tool.generate(prompts, seeds)
    alone = [tool.generate([p], [s])[0] for p, s in zip(prompts, seeds, strict=True)]
    assert [picture.size for picture in together] == [(32, 32)] * 3
    assert all(differs(a, b) <= 1 for a, b in zip(together, alone, strict=True))
    assert differs(together[0], together[1]) > 1


def test_a_seed_decides_the_picture(tool):
    first, again, other = tool.generate(["red circle"] * 3, [1, 1, 2])
    assert differs(first, again) <= 1
    assert differs(first, other) > 1


def test_nothing_asked_nothing_drawn(tool):
    assert tool.generate([], []) == []


def test_prompts_and_seeds_must_match(tool):
    with pytest.raises(ValueError, match="2 prompts but 1 seeds"):
        tool.generate(["red", "circle"], [1])


def test_a_failing_pipeline_is_a_tool_error_that_says_why(pipeline_folder):
    broken = DiffusersTool.load(pipeline_folder, CONFIG)
    broken.pipeline.transformer.x_embedder = torch.nn.Linear(3, 3)
    with pytest.raises(ToolError, match=r"failed on 1 prompts: .*mat1 and mat2"):
        broken.generate(["red"], [1])


def test_a_folder_that_is_no_pipeline_is_named(tmp_path):
    with pytest.raises(ValueError, match=f"{tmp_path}: the image pipeline cannot be read"):
        DiffusersTool.load(tmp_path, CONFIG)


@pytest.mark.parametrize(
    ("field", "value"), [("steps", 0), ("side", 0), ("max_batch", -1), ("guidance", -0.5)]
)
def test_impossible_settings_are_named(field, value):
    with pytest.raises(ValueError, match=f"{field} is {value}"):
        DiffusersConfig(**{field: value})
