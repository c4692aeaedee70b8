"""sana-mini: a whole ``SanaPipeline`` of about a million parameters, the weaker tool.

Sana wants sides that are multiples of 32, so the picture is drawn at 96x96, twice the miniature's,
and halved afterwards. The autoencoder shrinks by 32 as Sana's own does: 3x3 latents, one a cell.
"""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
# (diffusers annotates its models' constructors and outputs too narrowly.)

import torch
from diffusers import (
    AutoencoderDC,
    DPMSolverMultistepScheduler,
    SanaPipeline,
    SanaTransformer2DModel,
)
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import Gemma2Config, Gemma2Model, PreTrainedTokenizerFast

from genagent_building.flux import world_words
from genagent_building.tool import SHIFT, Family, late_times

TEXT_TOKENS = 25
"""``<bos>`` and 24 words: six items with size, colour, shape and place."""
LATENT_CHANNELS = 32
WIDTH = 64
"""Of the text encoder."""


def text_tokenizer() -> PreTrainedTokenizerFast:
    """One word, one token, in place of Gemma's."""
    vocabulary = ["<pad>", "<eos>", "<bos>", "<unk>", *world_words()]
    tokenizer = Tokenizer(
        models.WordLevel({word: i for i, word in enumerate(vocabulary)}, unk_token="<unk>")
    )
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[^a-z0-9\-]+"), "removed")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A", special_tokens=[("<bos>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="<eos>",
        bos_token="<bos>",
        unk_token="<unk>",
        model_max_length=TEXT_TOKENS,
    )


def build_vae() -> AutoencoderDC:
    """The first and last stage have no blocks, so that nothing is computed at 96x96."""
    channels, layers = (16, 16, 32, 32, 64, 64), (0, 1, 1, 1, 1, 1)
    return AutoencoderDC(
        latent_channels=LATENT_CHANNELS,
        encoder_block_out_channels=channels,
        decoder_block_out_channels=channels,
        encoder_layers_per_block=layers,
        decoder_layers_per_block=layers,
        encoder_qkv_multiscales=((),) * 6,
        decoder_qkv_multiscales=((),) * 6,
    )


def reconstruct(vae: AutoencoderDC, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Decoded latents with a tenth of noise, as the flow will leave, and a pull to unit size."""
    latents = vae.encode(_doubled(pictures)).latent
    decoded = vae.decode(latents + 0.1 * torch.randn_like(latents)).sample
    return _halved(decoded), 1e-3 * latents.square().mean()


def scale(vae: AutoencoderDC, pictures: torch.Tensor) -> None:
    latents = vae.encode(_doubled(pictures)).latent
    vae.register_to_config(scaling_factor=1 / latents.square().mean().sqrt().item())


def picture_latents(vae: AutoencoderDC, pictures: torch.Tensor) -> torch.Tensor:
    """[N, 3, 48, 48] -> [N, 32, 3, 3]."""
    return vae.encode(_doubled(pictures)).latent * vae.config.scaling_factor


def _doubled(pictures: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.interpolate(pictures, scale_factor=2.0, mode="nearest")


def _halved(pictures: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.avg_pool2d(pictures, 2)


def build_pipeline(vae: AutoencoderDC) -> SanaPipeline:
    """The pipeline around an autoencoder, all else fresh."""
    tokenizer = text_tokenizer()
    gemma = Gemma2Model(
        Gemma2Config(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            intermediate_size=2 * WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=16,
            query_pre_attn_scalar=16,
            initializer_range=WIDTH**-0.5,  # .02, Gemma's, is for a width of 2304
            max_position_embeddings=64,
            sliding_window=64,
            pad_token_id=0,
            eos_token_id=1,
            bos_token_id=2,
        )
    )
    transformer = SanaTransformer2DModel(
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        num_attention_heads=4,
        attention_head_dim=16,
        num_layers=3,
        num_cross_attention_heads=4,
        cross_attention_head_dim=16,
        cross_attention_dim=64,
        caption_channels=WIDTH,
        sample_size=3,
        # As Sana 1.5 has it, and positions. Without both and without SHIFT, 4,000 steps taught it
        # no place at all; which of the three it takes was not tried.
        qk_norm="rms_norm_across_heads",
        interpolation_scale=1.0,
    )
    return SanaPipeline(
        tokenizer=tokenizer,
        text_encoder=gemma,
        vae=vae,
        transformer=transformer,
        scheduler=DPMSolverMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=SHIFT
        ),
    )


def flow_loss(
    pipeline: SanaPipeline, latents: torch.Tensor, captions: list[str], noise: torch.Generator
) -> torch.Tensor:
    """Rectified-flow loss at times that are mostly noise, see ``late_times``."""
    embeds, mask, _, _ = pipeline.encode_prompt(
        captions, do_classifier_free_guidance=False, max_sequence_length=TEXT_TOKENS
    )
    time = late_times(len(captions), noise)
    start = torch.randn(latents.shape, generator=noise)
    mixed = torch.lerp(latents, start, time[:, None, None, None])
    velocity = pipeline.transformer(
        mixed,
        encoder_hidden_states=embeds,
        encoder_attention_mask=mask,
        timestep=1000 * time,
        return_dict=False,
    )[0]
    return torch.nn.functional.mse_loss(velocity, start - latents)


SANA = Family(
    name="sana-mini",
    vae_class=AutoencoderDC,
    build_vae=build_vae,
    reconstruct=reconstruct,
    scale=scale,
    latents=picture_latents,
    build_pipeline=build_pipeline,
    learners=lambda p: (p.transformer, p.text_encoder),
    flow_loss=flow_loss,
    stored=torch.bfloat16,
)
