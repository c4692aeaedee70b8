"""Profiles of the big generators, from their model cards."""

import math

from genagent_tools.tool_profile import Lora, ToolProfile

FLUX_DEV = "black-forest-labs/FLUX.1-dev"
QWEN_SIZES = ((1328, 1328), (1664, 928), (928, 1664), (1472, 1104), (1104, 1472))
"""The first cards had 1140 for 1104, which is no multiple of 16 and was rounded."""

PROFILES = {
    profile.name: profile
    for profile in (
        ToolProfile(
            name="flux-8step",
            pipeline="FluxPipeline",
            repository=FLUX_DEV,
            lora=Lora(
                repository="alimama-creative/FLUX.1-Turbo-Alpha",
                weight_name="diffusion_pytorch_model.safetensors",
            ),
            steps=8,
            guidance_scale=3.5,
            words=350,
            note="FLUX.1-dev and Turbo-Alpha: FLUX.1 [dev] non-commercial licence. Guidance is "
            "distilled: true_cfg_scale would be a second pass. CLIP reads the first 77 tokens, "
            "T5 all 512. Another 8-step LoRA is another tool.",
        ),
        ToolProfile(
            name="flux-hyper-8step",
            pipeline="FluxPipeline",
            repository=FLUX_DEV,
            lora=Lora(
                repository="ByteDance/Hyper-SD",
                weight_name="Hyper-FLUX.1-dev-8steps-lora.safetensors",
                scale=0.125,
            ),
            steps=8,
            guidance_scale=3.5,
            words=350,
            note="FLUX.1 [dev] non-commercial licence. The LoRA is meant to be fused at 0.125, not "
            "at 1.",
        ),
        ToolProfile(
            name="flux-dev",
            pipeline="FluxPipeline",
            repository=FLUX_DEV,
            steps=50,
            guidance_scale=3.5,
            words=350,
            note="FLUX.1 [dev] non-commercial licence. The model by itself: flux-8step with "
            "--steps 50 is its LoRA, made for 8, at 50.",
        ),
        ToolProfile(
            name="flux-schnell",
            pipeline="FluxPipeline",
            repository="black-forest-labs/FLUX.1-schnell",
            steps=4,
            guidance_scale=0.0,
            steerable=False,
            text_tokens=256,
            words=180,
            note="Apache-2.0. Trained on 256 tokens; the pipeline's default of 512 is not refused.",
        ),
        ToolProfile(
            name="flux2-klein",
            pipeline="Flux2KleinPipeline",
            repository="black-forest-labs/FLUX.2-klein-4B",
            steps=4,
            guidance_scale=1.0,
            steerable=False,
            words=350,
            note="4B: Apache-2.0; the 9B is non-commercial. Distilled in steps: the pipeline's "
            "default guidance of 4 is ignored with a warning. The base models want 50 steps and 4.",
        ),
        ToolProfile(
            name="qwen-image",
            pipeline="QwenImagePipeline",
            repository="Qwen/Qwen-Image",
            steps=50,
            true_cfg_scale=4.0,
            negative_prompt=" ",
            width=1328,
            height=1328,
            sizes=QWEN_SIZES,
            words=350,
            max_batch=2,
            note="Apache-2.0. Without a negative prompt classifier-free guidance is off; it must "
            "be a list as long as the prompts. About 60 GiB at 1024.",
        ),
        ToolProfile(
            name="qwen-image-lightning",
            pipeline="QwenImagePipeline",
            repository="Qwen/Qwen-Image",
            lora=Lora(
                repository="lightx2v/Qwen-Image-Lightning",
                weight_name="Qwen-Image-Lightning-8steps-V2.0.safetensors",
            ),
            steps=8,
            true_cfg_scale=1.0,
            width=1328,
            height=1328,
            sizes=QWEN_SIZES,
            scheduler={
                "base_shift": math.log(3),  # distilled at shift 3
                "max_shift": math.log(3),
                "max_image_seq_len": 8192,
                "shift_terminal": None,
                "time_shift_type": "exponential",
                "use_dynamic_shifting": True,
            },
            words=350,
            note="Apache-2.0. With Qwen-Image's own scheduler the 8 steps are the wrong ones.",
        ),
        ToolProfile(
            name="sana-1.5-1.6b",
            pipeline="SanaPipeline",
            repository="Efficient-Large-Model/SANA1.5_1.6B_1024px_diffusers",
            steps=20,
            guidance_scale=4.5,
            text_tokens=300,
            options={"use_resolution_binning": True},
            words=210,
            max_batch=8,
            note="Check the licence of the weights. bfloat16, autoencoder and text encoder too. "
            "The pipeline puts an instruction of its own before each prompt, as in training.",
        ),
        ToolProfile(
            name="z-image-turbo",
            pipeline="ZImagePipeline",
            repository="Tongyi-MAI/Z-Image-Turbo",
            steps=8,
            guidance_scale=0.0,
            words=350,
            note="Apache-2.0. Guidance defaults to 5 and must be 0. Before diffusers 0.42 eight "
            "evaluations took 9 steps. The pipeline changes the list of prompts it is given.",
        ),
    )
}
"""Profiles that ship, by name; ``known_profiles`` has those of other packages too."""
