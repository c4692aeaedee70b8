"""A policy's model without its weights: on torch's meta device, which knows shapes alone."""

import json
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genagent_planning.published import PUBLISHED
from genagent_policy.adapter import Adapter, LoRA
from genagent_policy.checkpoint import check_architecture
from genagent_policy.families import family_of

ATTENTION = "planned"
"""Name of the stand-in in transformers' registry."""
WINDOWS = "flash_planned"
"""The same for a vision tower, which hands its windows' bounds only to a kernel with "flash" in its
name."""


class PlannedModel:
    """Shapes of a policy and what its own code keeps for a backward pass."""

    def __init__(self, name: str, config: dict[str, Any], *, lora: LoRA | None = None) -> None:
        """
        Args:
            config: as config.json has it.
            lora: an adapter that alone is learnt; None: all weights are.

        Raises:
            ValueError: of no supported family.
        """
        self.name = name
        self.family = family_of(config.get("model_type"))
        model_class, _ = self.family.classes()
        saved = config.get("dtype") or config.get("torch_dtype") or "float32"
        self.saved_dtype: torch.dtype = getattr(torch, str(saved).removeprefix("torch."))
        _register()
        with torch.device("meta"):
            self._model = model_class(model_class.config_class.from_dict(config)).eval()
        self._model.set_attn_implementation(
            {"": "sdpa", "text_config": ATTENTION, "vision_config": WINDOWS}
        )
        self.lora = lora
        if lora is not None:
            with torch.device("meta"):
                Adapter(self._model, lora)

    @property
    def text(self) -> Any:
        """Configuration of the language model."""
        return self._model.config.text_config

    @property
    def vision(self) -> Any:
        """Configuration of the vision tower."""
        return self._model.config.vision_config

    @cached_property
    def weights(self) -> int:
        """Their number, without an adapter's; what is tied counts once."""
        return sum(one.numel() for one in self._model.parameters()) - self.adapter_weights

    @cached_property
    def vision_weights(self) -> int:
        """Of these, the vision tower's with its mergers."""
        every = self._model.model.visual.named_parameters()
        return sum(one.numel() for name, one in every if ".lora_" not in name)

    @cached_property
    def adapter_weights(self) -> int:
        """The adapter's, in float32; they alone are learnt where there are any."""
        every = self._model.named_parameters()
        return sum(one.numel() for name, one in every if ".lora_" in name)

    @property
    def head_weights(self) -> int:
        return self.text.vocab_size * self.text.hidden_size

    def picture_tokens(self, side: int) -> int:
        """Of a square picture, as the agent sees it."""
        cell = self.vision.patch_size * self.vision.spatial_merge_size
        return max(1, round(side / cell)) ** 2

    def picture_patches(self, side: int) -> int:
        return self.picture_tokens(side) * self.vision.spatial_merge_size**2

    def language_bytes(self, tokens: int, dtype: torch.dtype, *, grouped: bool) -> tuple[int, int]:
        """What the language model keeps for its backward pass over so many tokens, all together
        and of that one layer alone.

        Args:
            grouped: whether the attention takes keys and values once for several queries, as on
                CUDA; else it keeps a copy for each.
        """
        language = _as_trained(self._model.model.language_model, dtype)
        states = torch.empty(
            1, tokens, self.text.hidden_size, dtype=dtype, device="meta", requires_grad=True
        )
        positions = torch.empty(3, 1, tokens, dtype=torch.int64, device="meta")
        mask = {"full_attention": None}

        def run() -> Any:
            return language(
                inputs_embeds=states, position_ids=positions, attention_mask=mask, use_cache=False
            )

        if self.family.interleaved:  # Qwen3-VL's takes None as it is
            mask = None
        _Stand.grouped = grouped
        everything = _saved_bytes(run, language.parameters())
        return everything, everything // self.text.num_hidden_layers

    def vision_bytes(self, patches: int, dtype: torch.dtype) -> tuple[int, int]:
        """The same of the vision tower where it learns; without its mergers, 1 part in 30."""
        block = _as_trained(self._model.model.visual.blocks[0], dtype)
        wide = self.vision.hidden_size // self.vision.num_heads
        make = {"device": "meta", "dtype": dtype}
        states = torch.empty(patches, self.vision.hidden_size, requires_grad=True, **make)
        turned = torch.empty(patches, wide, **make), torch.empty(patches, wide, **make)
        bounds = torch.empty(2, dtype=torch.int32, device="meta")
        _Stand.grouped = True
        one = _saved_bytes(
            lambda: block(
                states, cu_seqlens=bounds, max_seqlen=patches, position_embeddings=turned
            ),
            block.parameters(),
        )
        return one * self.vision.depth, one

    def frozen_vision_bytes(self, patches: int, width: int) -> int:
        """What a pass of the vision tower takes that keeps nothing for a backward pass: 43 KB a
        patch of the 7B in bfloat16."""
        return patches * width * (3 * self.vision.intermediate_size + 9 * self.vision.hidden_size)


def planned_model(policy: str, folder: Path, *, lora: LoRA | None = None) -> PlannedModel:
    """The model of a policy by its published name, or else by its folder's config.json.

    Raises:
        ValueError: neither is known; names those that are.
    """
    if policy in PUBLISHED:
        return PlannedModel(policy, json.loads(json.dumps(PUBLISHED[policy])), lora=lora)
    if not folder.is_dir():
        known = "\n  ".join(PUBLISHED)
        raise ValueError(f"no policy {policy!r}; give a checkpoint folder, or one of: {known}")
    return PlannedModel(policy, check_architecture(folder), lora=lora)


def _as_trained(part: Any, dtype: torch.dtype) -> Any:
    """The part with weights of that dtype, and an adapter's in float32."""
    part.to(dtype)
    for name, parameter in part.named_parameters():
        if ".lora_" in name:
            parameter.data = parameter.data.float()
    return part


class _Stand:
    """How the stand-in is to attend."""

    grouped = True


class _Flash(torch.autograd.Function):
    """Keeps what a flash kernel keeps: queries, keys, values, output, a normalizer a row."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        batch, heads, tokens, width = query.shape
        output = query.new_empty(batch, tokens, heads, width)
        normalizer = query.new_empty(batch, heads, tokens, dtype=torch.float32)
        ctx.save_for_backward(query, key, value, output, normalizer)
        return output


def _attend(
    module: Any, query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any
) -> tuple[Tensor, None]:
    times = query.shape[1] // key.shape[1]
    if times > 1 and not _Stand.grouped:
        key, value = (states.repeat_interleave(times, dim=1) for states in (key, value))
    return _Flash.apply(query, key, value), None  # pyright: ignore[reportReturnType]


def _register() -> None:
    from transformers import AttentionInterface

    for name in (ATTENTION, WINDOWS):
        AttentionInterface.register(name, _attend)


def _saved_bytes(run: Callable[[], Any], parameters: Any) -> int:
    """Bytes of all that ``run`` keeps for a backward pass, but for parameters, each once."""
    own = {parameter.untyped_storage()._cdata for parameter in parameters}
    kept: dict[int, torch.UntypedStorage] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = run()
    total = sum(storage.nbytes() for place, storage in kept.items() if place not in own)
    del result
    return total
