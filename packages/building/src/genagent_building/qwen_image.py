"""qwen-image-mini: a whole ``QwenImagePipeline`` of two million parameters, the stronger tool.

The video autoencoder shrinks by 8 and Qwen-Image packs 2x2 latents: one picture token a cell. The
text encoder is a Qwen2.5-VL that never sees a picture. The pipeline wraps each prompt in a fixed
template and drops its first 34 tokens, so the tokenizer makes exactly 34 of that prefix.
"""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
# (diffusers annotates its models' constructors and outputs too narrowly.)

import torch
from diffusers import (
    AutoencoderKLQwenImage,
    FlowMatchEulerDiscreteScheduler,
    QwenImagePipeline,
    QwenImageTransformer2DModel,
)
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
)

from genagent_building.flux import world_words
from genagent_building.tool import SHIFT, Family, late_times

TEXT_TOKENS = 40
"""Six items with their commas are 29 tokens, the template's end 5."""
LATENT_CHANNELS = 16
WIDTH = 64
"""Of the text encoder."""
TEMPLATE_WORDS = {
    *("system", "describe", "the", "image", "by", "detailing", "color", "shape", "size"),
    *("texture", "quantity", "text", "spatial", "relationships", "of", "objects", "and"),
    *("background", "user", "assistant"),
}


def text_tokenizer() -> PreTrainedTokenizerFast:
    """A word, a punctuation mark, a line break: one token each."""
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<unk>"]
    words = sorted({*world_words()} | TEMPLATE_WORDS)
    vocabulary = [*specials, "\n", ",", ".", ":", *words]
    tokenizer = Tokenizer(
        models.WordLevel({word: i for i, word in enumerate(vocabulary)}, unk_token="<unk>")
    )
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"[ \t]+"), "removed"),
            pre_tokenizers.Split(Regex(r"[a-z0-9\-]+"), "isolated"),
            pre_tokenizers.Split(Regex(r"[^a-z0-9\-]"), "isolated"),
        ]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        unk_token="<unk>",
        additional_special_tokens=["<|im_start|>"],
        padding_side="right",
        model_max_length=2048,
    )


def build_vae() -> AutoencoderKLQwenImage:
    """Fresh, with little noise in its posterior, which it would first have to learn away."""
    vae = AutoencoderKLQwenImage(
        base_dim=16,
        z_dim=LATENT_CHANNELS,
        dim_mult=[1, 1, 2, 2],
        num_res_blocks=1,
        latents_mean=[0.0] * LATENT_CHANNELS,
        latents_std=[1.0] * LATENT_CHANNELS,
    )
    vae.quant_conv.state_dict()["bias"][LATENT_CHANNELS:].fill_(-4.0)
    return vae


def reconstruct(
    vae: AutoencoderKLQwenImage, pictures: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Decoded draws from the posterior, and a faint KL.

    The decoder alone, because ``decode`` also clamps, and what is clamped does not learn.
    """
    posterior = vae.encode(pictures[:, :, None]).latent_dist
    decoded = vae.decoder(vae.post_quant_conv(posterior.sample()))[:, :, 0]
    return decoded, 1e-6 * posterior.kl().mean()


def scale(vae: AutoencoderKLQwenImage, pictures: torch.Tensor) -> None:
    latents = vae.encode(pictures[:, :, None]).latent_dist.mean
    vae.register_to_config(
        latents_mean=latents.mean((0, 2, 3, 4)).tolist(),
        latents_std=latents.std((0, 2, 3, 4)).tolist(),
    )


def picture_latents(vae: AutoencoderKLQwenImage, pictures: torch.Tensor) -> torch.Tensor:
    """[N, 3, 48, 48] -> packed [N, 9, 64]."""
    means = vae.encode(pictures[:, :, None]).latent_dist.mean[:, :, 0]
    mean, std = (
        torch.tensor(values)[:, None, None]
        for values in (vae.config.latents_mean, vae.config.latents_std)
    )
    batch, channels, height, width = means.shape
    return QwenImagePipeline._pack_latents((means - mean) / std, batch, channels, height, width)


def build_pipeline(vae: AutoencoderKLQwenImage) -> QwenImagePipeline:
    """The pipeline around an autoencoder, all else fresh."""
    tokenizer = text_tokenizer()
    encoder = Qwen2_5_VLForConditionalGeneration(
        Qwen2_5_VLConfig(
            text_config={
                "vocab_size": len(tokenizer),
                "hidden_size": WIDTH,
                "intermediate_size": 2 * WIDTH,
                "num_hidden_layers": 2,
                "initializer_range": WIDTH**-0.5,
                "num_attention_heads": 4,
                "num_key_value_heads": 2,
                "max_position_embeddings": 2048,
                "rope_parameters": {
                    "rope_type": "default",
                    "rope_theta": 10000.0,
                    "mrope_section": [2, 3, 3],
                },
                "pad_token_id": 0,
                "bos_token_id": 0,
                "eos_token_id": 2,
            },
            vision_config={
                "depth": 1,
                "hidden_size": 16,
                "intermediate_size": 16,
                "num_heads": 1,
                "out_hidden_size": WIDTH,
                "fullatt_block_indexes": [0],
            },
            tie_word_embeddings=True,
            initializer_range=WIDTH**-0.5,  # .02 is for a width of 3584
        )
    )
    transformer = QwenImageTransformer2DModel(
        in_channels=4 * LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        num_layers=4,
        attention_head_dim=16,
        num_attention_heads=6,
        joint_attention_dim=WIDTH,
        axes_dims_rope=(4, 6, 6),
    )
    return QwenImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=SHIFT),
        vae=vae,
        text_encoder=encoder,
        tokenizer=tokenizer,
        transformer=transformer,
    )


def flow_loss(
    pipeline: QwenImagePipeline, latents: torch.Tensor, captions: list[str], noise: torch.Generator
) -> torch.Tensor:
    """Rectified-flow loss at times that are mostly noise, see ``late_times``."""
    embeds, mask = pipeline.encode_prompt(captions, max_sequence_length=TEXT_TOKENS)
    batch = len(captions)
    time = late_times(batch, noise)
    start = torch.randn(latents.shape, generator=noise)
    velocity = pipeline.transformer(
        hidden_states=torch.lerp(latents, start, time[:, None, None]),
        timestep=time,
        encoder_hidden_states=embeds,
        encoder_hidden_states_mask=mask,
        img_shapes=[[(1, 3, 3)]] * batch,
        return_dict=False,
    )[0]
    return torch.nn.functional.mse_loss(velocity, start - latents)


QWEN_IMAGE = Family(
    name="qwen-image-mini",
    vae_class=AutoencoderKLQwenImage,
    build_vae=build_vae,
    reconstruct=reconstruct,
    scale=scale,
    latents=picture_latents,
    build_pipeline=build_pipeline,
    learners=lambda p: (p.transformer, p.text_encoder),
    flow_loss=flow_loss,
    stored=torch.bfloat16,
)
