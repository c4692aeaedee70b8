"""flux-mini: a whole ``FluxPipeline`` of 1.6 million parameters, made for 48x48 pictures.

The autoencoder shrinks by 8 and Flux packs 2x2 latents, so one picture token is one cell of the
scene: 9 picture tokens and 24 text tokens, which is what makes it fast on two cores.
"""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
# (diffusers annotates its models' constructors and outputs too narrowly.)

import torch
from diffusers import (
    AutoencoderKL,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
)
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast, T5Config
from transformers.models.t5.modeling_t5 import T5EncoderModel

from genagent_building.tool import Family
from genagent_miniworld.conditions import REGIONS, RELATIONS
from genagent_miniworld.grammar import NUMBERS
from genagent_miniworld.scene import COLORS, PLACES, SHAPES, SIZES

TEXT_TOKENS = 24
LATENT_CHANNELS = 16


def world_words() -> list[str]:
    """Every word that a request or a caption of the miniature may hold."""
    words = {"a", "and", "at", "of", "exactly", "please", "draw", "show", "i", "want", "picture"}
    words |= {*COLORS, *SHAPES, *(f"{shape}s" for shape in SHAPES), *SIZES, *PLACES}
    words |= {word for phrase in (*REGIONS, *RELATIONS) for word in phrase.split()}
    words |= {*NUMBERS.values(), *(str(number) for number in NUMBERS)}
    return sorted(words)


def text_tokenizer() -> PreTrainedTokenizerFast:
    """One word, one token; punctuation is dropped and a strange word becomes ``<unk>``."""
    vocabulary = ["<pad>", "</s>", "<unk>", *world_words()]
    tokenizer = Tokenizer(
        models.WordLevel({word: i for i, word in enumerate(vocabulary)}, unk_token="<unk>")
    )
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[^a-z0-9\-]+"), "removed")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        model_max_length=TEXT_TOKENS,
    )


def build_vae() -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(8, 16, 32, 64),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=4,
        use_quant_conv=False,
        use_post_quant_conv=False,
        mid_block_add_attention=False,
        sample_size=48,
        scaling_factor=1.0,
        shift_factor=0.0,
    )


def reconstruct(vae: AutoencoderKL, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Decoded draws from the posterior, and a faint KL."""
    posterior = vae.encode(pictures).latent_dist
    return vae.decode(posterior.sample()).sample, 1e-6 * posterior.kl().mean()


def scale(vae: AutoencoderKL, pictures: torch.Tensor) -> None:
    latents = vae.encode(pictures).latent_dist.mean
    vae.register_to_config(
        shift_factor=latents.mean().item(), scaling_factor=1 / latents.std().item()
    )


def picture_latents(vae: AutoencoderKL, pictures: torch.Tensor) -> torch.Tensor:
    """[N, 3, 48, 48] -> packed [N, 9, 64]."""
    means = vae.encode(pictures).latent_dist.mean
    return pack((means - vae.config.shift_factor) * vae.config.scaling_factor)


def build_pipeline(vae: AutoencoderKL) -> FluxPipeline:
    """The pipeline around an autoencoder, all else fresh."""
    tokenizer = text_tokenizer()
    clip = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            projection_dim=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=TEXT_TOKENS,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=1,
        )
    )
    t5 = T5EncoderModel(
        T5Config(
            vocab_size=len(tokenizer),
            d_model=64,
            d_kv=16,
            d_ff=128,
            num_layers=3,
            num_heads=4,
            dropout_rate=0.0,
            pad_token_id=0,
            eos_token_id=1,
        )
    )
    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=4 * LATENT_CHANNELS,
        num_layers=2,
        num_single_layers=3,
        attention_head_dim=16,
        num_attention_heads=6,
        joint_attention_dim=64,
        pooled_projection_dim=32,
        guidance_embeds=False,
        axes_dims_rope=(4, 6, 6),
    )
    return FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=1.0),
        vae=vae,
        text_encoder=clip,
        tokenizer=tokenizer,
        text_encoder_2=t5,
        tokenizer_2=tokenizer,
        transformer=transformer,
    )


def flow_loss(
    pipeline: FluxPipeline, latents: torch.Tensor, captions: list[str], noise: torch.Generator
) -> torch.Tensor:
    """Rectified-flow loss, times drawn logit-normal (SD3, 2403.03206, section 3.1).

    Args:
        latents: packed, [B, 9, 64].
        captions: B texts.
        noise: drives times and noise.
    """
    embeds, pooled = encode_text(pipeline, captions)
    batch = len(captions)
    time = torch.sigmoid(torch.randn(batch, generator=noise))
    start = torch.randn(latents.shape, generator=noise)
    mixed = (1 - time)[:, None, None] * latents + time[:, None, None] * start
    velocity = pipeline.transformer(
        hidden_states=mixed,
        timestep=time,
        encoder_hidden_states=embeds,
        pooled_projections=pooled,
        txt_ids=torch.zeros(TEXT_TOKENS, 3),
        img_ids=cell_ids(),
        return_dict=False,
    )[0]
    return torch.nn.functional.mse_loss(velocity, start - latents)


def encode_text(pipeline: FluxPipeline, captions: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """T5 states [B, 24, 64] and the pooled CLIP state [B, 32], as ``encode_prompt`` has them."""
    ids = pipeline.tokenizer(
        captions,
        padding="max_length",
        max_length=TEXT_TOKENS,
        truncation=True,
        return_tensors="pt",
    ).input_ids
    return pipeline.text_encoder_2(ids)[0], pipeline.text_encoder(ids).pooler_output


def cell_ids() -> torch.Tensor:
    """Position of each picture token, [9, 3]: (0, row, column)."""
    rows, columns = torch.meshgrid(torch.arange(3), torch.arange(3), indexing="ij")
    return torch.stack([torch.zeros(9), rows.flatten(), columns.flatten()], -1).float()


def pack(latents: torch.Tensor) -> torch.Tensor:
    """[B, 16, 6, 6] -> [B, 9, 64], Flux's order."""
    batch, channels, height, width = latents.shape
    return FluxPipeline._pack_latents(latents, batch, channels, height, width)


FLUX = Family(
    name="flux-mini",
    vae_class=AutoencoderKL,
    build_vae=build_vae,
    reconstruct=reconstruct,
    scale=scale,
    latents=picture_latents,
    build_pipeline=build_pipeline,
    learners=lambda p: (p.transformer, p.text_encoder, p.text_encoder_2),
    flow_loss=flow_loss,
)
