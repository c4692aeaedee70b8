"""A diffusers text-to-image pipeline as a tool, in this process."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image

from genagent_tools.diffusers_parts import load_parts
from genagent_tools.tool import DrawSettings, ToolError
from genagent_tools.tool_profile import Lora, ToolProfile
from genagent_weights import WeightsError

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline


BASE_REMEDY = "download it, or give a local folder (genagent-tools serve --model)"
LORA_REMEDY = "download it, or give a local file or folder (genagent-tools serve --lora)"


class DiffusersTool:
    """A pipeline called as its profile says, with one seed a picture."""

    def __init__(self, pipeline: "DiffusionPipeline", profile: ToolProfile) -> None:
        self.pipeline = pipeline
        self.profile = profile
        pipeline.set_progress_bar_config(disable=True)

    @classmethod
    def from_profile(
        cls, profile: ToolProfile, *, path: Path | str | None = None, device: str = "cuda"
    ) -> "DiffusersTool":
        """Load a profile's repository, with its LoRA and scheduler.

        Args:
            path: folder to load instead of the repository; nothing is fetched then, but a LoRA that
                is not local either.

        Raises:
            ValueError: pipeline or LoRA cannot be read; names it and the remedy, in one line.
        """
        import diffusers

        source, remedy = profile.repository, BASE_REMEDY
        if path is not None:
            source, remedy = str(path), f"give the folder of a {profile.pipeline}"
            if not Path(path, "model_index.json").is_file():
                said = "it holds no model_index.json"
                raise ValueError(f"{source}: the image pipeline cannot be read ({said}); {remedy}")
        # float32 is the default.
        dtype = None if profile.dtype == "float32" else getattr(torch, profile.dtype)
        family = getattr(diffusers, profile.pipeline)
        if profile.lora:
            # What is missing is missed before the pipeline is loaded, which takes minutes.
            with _read(f"{profile.lora.source}: the LoRA", LORA_REMEDY):
                family.lora_state_dict(**_where(profile.lora))
        with _read(f"{source}: the image pipeline", remedy):
            pipeline = _load_pipeline(family, source, dtype, is_folder=path is not None)
        if profile.lora:
            apply_lora(pipeline, profile.lora)
        if profile.scheduler:
            own = pipeline.scheduler
            pipeline.scheduler = type(own).from_config(own.config, **profile.scheduler)
        # A text encoder comes as it is stored unless told, and float32 was not said.
        cast = [torch.float32] if profile.dtype == "float32" else []
        return cls(pipeline.to(device, *cast), profile)

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
        """One picture a prompt, as the profile has it; see ``draw``."""
        return self.draw(prompts, seeds, DrawSettings())

    def draw(
        self, prompts: Sequence[str], seeds: Sequence[int], settings: DrawSettings
    ) -> list[Image.Image]:
        """One picture a prompt; noise comes from its own seed, on the CPU, so that neither the
        batch nor the device changes it.

        Raises:
            ValueError: prompts and seeds differ in number, or the pipeline would not do what
                the settings say.
            ToolError: the pipeline fails, by want of memory for instance.
        """
        if len(prompts) != len(seeds):
            raise ValueError(f"{len(prompts)} prompts but {len(seeds)} seeds; give one a prompt")
        arguments, negative = self.profile.call(settings), self.profile.negative(settings)
        pictures: list[Image.Image] = []
        for start in range(0, len(prompts), self.profile.max_batch):
            part = slice(start, start + self.profile.max_batch)
            if negative is not None:
                # A lone text would be one row of a batch to QwenImage, which then fails.
                arguments["negative_prompt"] = [negative] * len(prompts[part])
            pictures += self._call(list(prompts[part]), seeds[part], arguments)
        return pictures

    def _call(
        self, prompts: list[str], seeds: Sequence[int], arguments: dict[str, Any]
    ) -> list[Image.Image]:
        generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
        try:
            output: Any = self.pipeline(prompt=prompts, generator=generators, **arguments)  # pyright: ignore[reportCallIssue]
        except (RuntimeError, ValueError) as error:
            raise ToolError(f"the pipeline failed on {len(prompts)} prompts: {error}") from error
        factor = self.profile.supersampling
        return [picture.reduce(factor) if factor > 1 else picture for picture in output.images]


def _load_pipeline(family: Any, source: str, dtype: torch.dtype | None, *, is_folder: bool) -> Any:
    if not is_folder and not Path(source).is_dir():
        source = family.download(source, use_safetensors=True)
    folder = Path(source)
    options: dict[str, Any] = {} if dtype is None else {"torch_dtype": dtype}
    options |= load_parts(folder, dtype=dtype)
    return family.from_pretrained(folder, local_files_only=True, use_safetensors=True, **options)


def apply_lora(pipeline: Any, lora: Lora) -> None:
    """Load an adapter, and merge it into the weights or switch it on.

    Raises:
        ValueError: it cannot be read, or is none of this pipeline's.
    """
    with _read(f"{lora.source}: the LoRA", LORA_REMEDY):
        pipeline.load_lora_weights(**_where(lora), adapter_name="profile")
        # Weights of other names are passed over with a warning, and pictures are as without them.
        if not pipeline.get_list_adapters():
            raise ValueError(f"none of its weights is of a {type(pipeline).__name__}")
    if lora.fused:
        pipeline.fuse_lora(lora_scale=lora.scale)
        pipeline.unload_lora_weights()
    else:
        pipeline.set_adapters(["profile"], [lora.scale])


def _where(lora: Lora) -> dict[str, Any]:
    """Arguments that find it. A broken .safetensors is not tried again as a pickle."""
    return {
        "pretrained_model_name_or_path_or_dict": lora.repository,
        "weight_name": lora.weight_name,
        "use_safetensors": True,
    }


@contextmanager
def _read(what: str, remedy: str) -> Iterator[None]:
    """Raises ValueError for whatever goes wrong: beside OSError, ValueError and KeyError there were
    SafetensorError (a file cut off), IndexError (a folder of checkpoints), RuntimeError and
    PeftError (weights of another model) and the hub's own HTTP client's: nothing in common."""
    try:
        yield
    except WeightsError as error:
        raise ValueError(f"{error}; {remedy}") from error
    except Exception as error:
        # A message such as "has no such file" hides that the hub was not asked; its cause says it.
        said = " ".join(str(error.__cause__ or error).split()) or type(error).__name__
        raise ValueError(f"{what} cannot be read ({said[:300]}); {remedy}") from error
