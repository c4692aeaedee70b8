"""The diffusers tool over real pipelines of five families with tiny random weights."""

import dataclasses

import pytest
import torch
from diffusers import (
    AutoencoderDC,
    AutoencoderKL,
    AutoencoderKLFlux2,
    AutoencoderKLQwenImage,
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
    FluxPipeline,
    FluxTransformer2DModel,
    QwenImagePipeline,
    QwenImageTransformer2DModel,
    SanaPipeline,
    SanaTransformer2DModel,
    ZImagePipeline,
    ZImageTransformer2DModel,
)
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from PIL import ImageChops
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    Gemma2Config,
    Gemma2Model,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3Model,
    T5Config,
    T5EncoderModel,
)

from genagent_tools import PROFILES, DiffusersTool, DrawSettings, Lora, ToolError, ToolProfile

WORDS = ("<pad>", "</s>", "<unk>", "<|im_start|>", "<|im_end|>", "red", "circle", "blurry")


def words_tokenizer() -> PreTrainedTokenizerFast:
    """A word, a mark, a line break: one token each, so that Qwen-Image's template has its 34."""
    words = Tokenizer(
        models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>")
    )
    words.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(" +"), "removed"),
            pre_tokenizers.Split(Regex(r"\w+|\W"), "isolated"),
        ]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        additional_special_tokens=["<|im_start|>", "<|im_end|>"],
        padding_side="right",
        model_max_length=64,
        chat_template="{% for m in messages %}{{ m['content'] }}{% endfor %}",
    )


def kl_autoencoder() -> AutoencoderKL:
    return AutoencoderKL(
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
    )


def qwen3_config(layers: int) -> Qwen3Config:
    return Qwen3Config(
        vocab_size=len(WORDS),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=layers,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=8,
    )


def flux() -> FluxPipeline:
    tokenizer = words_tokenizer()
    clip = CLIPTextConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=64,
        eos_token_id=1,
    )
    t5 = T5Config(vocab_size=len(WORDS), d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    return FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=kl_autoencoder(),
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
            guidance_embeds=True,
        ),
    )


def klein() -> Flux2KleinPipeline:
    return Flux2KleinPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=AutoencoderKLFlux2(
            block_out_channels=(8, 8),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            layers_per_block=1,
            latent_channels=2,
            norm_num_groups=4,
        ),
        text_encoder=Qwen3ForCausalLM(qwen3_config(3)),
        tokenizer=words_tokenizer(),
        transformer=Flux2Transformer2DModel(
            patch_size=1,
            in_channels=8,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=48,
            timestep_guidance_channels=16,
            axes_dims_rope=(4, 4, 4, 4),
            guidance_embeds=False,
        ),
        is_distilled=True,
    )


def qwen_image() -> QwenImagePipeline:
    text = {
        "vocab_size": len(WORDS),
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10000.0,
            "mrope_section": [2, 1, 1],
        },
    }
    vision = {
        "depth": 1,
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_heads": 1,
        "out_hidden_size": 16,
    }
    return QwenImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift_terminal=0.02),
        vae=AutoencoderKLQwenImage(
            base_dim=4,
            z_dim=2,
            dim_mult=[1, 1],
            num_res_blocks=1,
            temperal_downsample=[False],
            latents_mean=[0.0, 0.1],
            latents_std=[1.0, 0.9],
        ),
        text_encoder=Qwen2_5_VLForConditionalGeneration(
            Qwen2_5_VLConfig(text_config=text, vision_config=vision)
        ),
        tokenizer=words_tokenizer(),
        transformer=QwenImageTransformer2DModel(
            in_channels=8,
            out_channels=2,
            num_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=16,
            axes_dims_rope=(4, 6, 6),
        ),
    )


def sana() -> SanaPipeline:
    stages = {
        "encoder_block_out_channels": (4, 8),
        "decoder_block_out_channels": (4, 8),
        "encoder_layers_per_block": (1, 1),
        "decoder_layers_per_block": (1, 1),
        "encoder_qkv_multiscales": ((), ()),
        "decoder_qkv_multiscales": ((), ()),
    }
    gemma = Gemma2Config(
        vocab_size=len(WORDS),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=8,
    )
    return SanaPipeline(
        tokenizer=words_tokenizer(),
        text_encoder=Gemma2Model(gemma),
        vae=AutoencoderDC(latent_channels=4, **stages),
        transformer=SanaTransformer2DModel(
            in_channels=4,
            out_channels=4,
            num_attention_heads=2,
            attention_head_dim=8,
            num_layers=1,
            num_cross_attention_heads=2,
            cross_attention_head_dim=8,
            cross_attention_dim=16,
            caption_channels=16,
            sample_size=32,
        ),
        scheduler=DPMSolverMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True
        ),
    )


def z_image() -> ZImagePipeline:
    return ZImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=kl_autoencoder(),
        text_encoder=Qwen3Model(qwen3_config(2)),
        tokenizer=words_tokenizer(),
        transformer=ZImageTransformer2DModel(
            in_channels=2,
            dim=32,
            n_layers=1,
            n_refiner_layers=1,
            n_heads=2,
            n_kv_heads=2,
            cap_feat_dim=16,
            axes_dims=[8, 4, 4],
            axes_lens=[128, 32, 32],
        ),
    )


# A shipped profile each, its text and size cut down to the tiny pipeline's.
FAMILIES = {
    "flux-8step": flux,
    "flux2-klein": klein,
    "qwen-image": qwen_image,
    "sana-1.5-1.6b": sana,
    "z-image-turbo": z_image,
}
TINY_OPTIONS = {
    "flux2-klein": {"text_encoder_out_layers": (1, 2, 3)},
    "sana-1.5-1.6b": {"use_resolution_binning": False, "complex_human_instruction": None},
}


def tiny(name: str) -> ToolProfile:
    return dataclasses.replace(
        PROFILES[name],
        width=32,
        height=32,
        sizes=(),
        text_tokens=8,
        steps=2,
        lora=None,
        dtype="float32",
        options=TINY_OPTIONS.get(name, {}),
        max_batch=2,
    )


def build(name: str, seed: int = 0) -> DiffusersTool:
    torch.manual_seed(seed)
    return DiffusersTool(FAMILIES[name](), tiny(name))


@pytest.fixture(scope="module", params=list(FAMILIES))
def tool(request):
    return build(request.param)


@pytest.fixture
def calls(monkeypatch):
    """Rows of each pass through a transformer, by a list to look at afterwards."""

    def count(tool: DiffusersTool) -> list[int]:
        rows: list[int] = []

        def note(_module, arguments, keywords):
            hidden = keywords.get("hidden_states", arguments[0] if arguments else None)
            rows.append(len(hidden))

        tool.pipeline.transformer.register_forward_pre_hook(note, with_kwargs=True)
        return rows

    return count


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
    assert prompts == ["red circle", "circle", "red"]


def test_a_seed_decides_the_picture(tool):
    first, again, other = tool.generate(["red circle"] * 3, [1, 1, 2])
    assert differs(first, again) <= 1
    assert differs(first, other) > 1


def test_settings_of_one_call_change_size_and_steps_and_nothing_after(tool, calls):
    rows = calls(tool)
    before = tool.generate(["red"], [1])[0]
    passes = len(rows)
    wide = tool.draw(["red"], [1], DrawSettings(width=64, steps=3))[0]
    assert wide.size == (64, 32)
    assert len(rows) - passes == passes * 3 // 2
    assert differs(before, tool.generate(["red"], [1])[0]) <= 1


def test_qwen_image_guides_with_a_second_pass_only_where_a_negative_prompt_is_given(calls):
    tool = build("qwen-image")
    rows = calls(tool)
    tool.generate(["red circle", "red"], [1, 2])
    assert rows == [2] * 4
    rows.clear()
    # The same call without the profile: guidance 4 is asked for, and silently not had.
    arguments = tool.profile.call()
    tool.pipeline(prompt=["red circle", "red"], **arguments)
    assert arguments["true_cfg_scale"] == 4.0
    assert rows == [2] * 2
    rows.clear()
    tool.draw(["red"], [1], DrawSettings(guidance=1.0))
    assert rows == [1] * 2


def test_guidance_and_negative_prompt_change_qwen_images_picture():
    tool = build("qwen-image")
    plain, guided, told = (
        tool.draw(["red"], [1], settings)[0]
        for settings in (
            DrawSettings(guidance=1.0),
            DrawSettings(guidance=8.0),
            DrawSettings(guidance=8.0, negative_prompt="blurry circle"),
        )
    )
    assert differs(plain, guided) > 1
    assert differs(guided, told) > 1


def test_sana_guides_in_one_doubled_pass(calls):
    tool = build("sana-1.5-1.6b")
    rows = calls(tool)
    tool.generate(["red", "circle"], [1, 2])
    tool.draw(["red"], [1], DrawSettings(guidance=1.0))
    assert rows == [4, 4, 1, 1]


def test_z_image_turbo_takes_one_pass_though_its_pipeline_would_guide(calls):
    tool = build("z-image-turbo")
    rows = calls(tool)
    tool.generate(["red", "circle"], [1, 2])
    tool.draw(["red"], [1], DrawSettings(guidance=1.0))
    assert rows == [2, 2, 2, 2]  # two rows of two prompts, then two of one


def test_distilled_guidance_of_flux_is_an_input_and_no_second_pass(calls):
    tool = build("flux-8step")
    rows = calls(tool)
    weak, strong = (
        tool.draw(["red"], [1], DrawSettings(guidance=scale))[0] for scale in (0.0, 50.0)
    )
    assert rows == [1] * 4
    assert differs(weak, strong) >= 1


def test_sana_with_binning_draws_its_own_size_and_crops(calls):
    tool = build("sana-1.5-1.6b")
    latents = []
    tool.pipeline.transformer.register_forward_pre_hook(
        lambda _module, arguments: latents.append(arguments[0].shape[-2:])
    )
    tool.generate(["red"], [1])
    binned = dataclasses.replace(tool.profile, options={"use_resolution_binning": True}, steps=1)
    picture = DiffusersTool(tool.pipeline, binned).generate(["red"], [1])[0]
    assert [tuple(shape) for shape in latents] == [(16, 16), (16, 16), (512, 512)]
    assert picture.size == (32, 32)


def test_a_supersampled_picture_is_the_average_of_a_larger_one():
    tool = build("sana-1.5-1.6b")
    halved = dataclasses.replace(tool.profile, width=16, height=16, supersampling=2)
    small = DiffusersTool(tool.pipeline, halved).generate(["red"], [1])[0]
    assert small.size == (16, 16)
    assert differs(small, tool.generate(["red"], [1])[0].reduce(2)) == 0


def test_a_profile_brings_its_scheduler(tmp_path):
    build("qwen-image").pipeline.save_pretrained(tmp_path)
    lightning = dataclasses.replace(
        tiny("qwen-image"), scheduler=PROFILES["qwen-image-lightning"].scheduler
    )
    tool = DiffusersTool.from_profile(lightning, path=tmp_path, device="cpu")
    scheduler = tool.pipeline.scheduler
    assert scheduler.config.shift_terminal is None
    assert scheduler.config.use_dynamic_shifting is True
    tool.generate(["red"], [1])
    # Shift 3 of one half: 3 * .5 / (1 + 2 * .5).
    assert scheduler.sigmas.tolist() == pytest.approx([1.0, 0.75, 0.0])


@pytest.mark.parametrize("fused", [True, False])
def test_a_profile_brings_its_lora_at_its_scale(tmp_path, fused):
    base = build("flux-8step")
    plain = base.generate(["red"], [1])[0]
    base.pipeline.save_pretrained(tmp_path / "base")
    transformer = base.pipeline.transformer
    torch.manual_seed(1)
    transformer.add_adapter(
        LoraConfig(r=2, target_modules=["to_q", "to_v"], init_lora_weights=False)
    )
    FluxPipeline.save_lora_weights(tmp_path / "lora", get_peft_model_state_dict(transformer))

    def picture(scale: float):
        lora = Lora(repository=str(tmp_path / "lora"), scale=scale, fused=fused)
        profile = dataclasses.replace(tiny("flux-8step"), lora=lora)
        tool = DiffusersTool.from_profile(profile, path=tmp_path / "base", device="cpu")
        return tool.generate(["red"], [1])[0]

    assert differs(plain, picture(0.0)) <= 1
    assert differs(plain, picture(4.0)) > 1


def test_a_saved_pipeline_draws_the_same(tmp_path):
    tool = build("flux-8step")
    tool.pipeline.save_pretrained(tmp_path)
    loaded = DiffusersTool.from_profile(tool.profile, path=tmp_path, device="cpu")
    assert differs(tool.generate(["red"], [3])[0], loaded.generate(["red"], [3])[0]) <= 1


def test_nothing_asked_nothing_drawn(tool):
    assert tool.generate([], []) == []


def test_prompts_and_seeds_must_match(tool):
    with pytest.raises(ValueError, match="2 prompts but 1 seeds"):
        tool.generate(["red", "circle"], [1])


def test_a_failing_pipeline_is_a_tool_error_that_says_why():
    broken = build("flux-8step")
    broken.pipeline.transformer.x_embedder = torch.nn.Linear(3, 3)
    with pytest.raises(ToolError, match=r"failed on 1 prompts: .*mat1 and mat2"):
        broken.generate(["red"], [1])


@pytest.mark.parametrize("folder", [".", "absent"])
def test_a_folder_that_is_no_pipeline_is_named(tmp_path, folder):
    path = tmp_path / folder
    with pytest.raises(ValueError, match=f"{path}: the image pipeline cannot be read"):
        DiffusersTool.from_profile(tiny("flux-8step"), path=path, device="cpu")
