"""Memory of a GPU that trains, by what takes it.

What stays is exact for one process: weights, gradients, AdamW's two moments and, below float32, the
masters that it works on (``genagent_policy.optimizer``). What a pass keeps is counted by running
the model's own code on the meta device. Buffers of the exchange between GPUs are DeepSpeed's
defaults; what an allocator wastes is not counted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import torch

from genagent_kernels.head import CHUNK_ROWS
from genagent_planning.planned_model import PlannedModel
from genagent_policy.model import PORTION

BUCKET = 500_000_000
"""Numbers in one bucket: DeepSpeed's ``reduce_bucket_size`` and ``allgather_bucket_size``."""
LIVE = 1_000_000_000
"""Weights that stage 3 holds gathered: DeepSpeed's ``stage3_max_live_parameters``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """What memory depends on, beside the model.

    Example: ``Training(dtype=torch.bfloat16, tokens=16384, pictures=4, picture_side=1024)``
    """

    dtype: torch.dtype
    """Of the weights."""
    tokens: int
    """Run through the model at once."""
    chosen: int
    """Of these, tokens that the policy chose: the head is run for them alone."""
    pictures: int
    """Among them."""
    picture_side: int
    freeze_vision: bool = True
    checkpoint_activations: bool = False
    reference: bool = False
    """A second copy of the weights, which a KL term is held against."""
    zero: int = 0
    """What the GPUs that train share out, by DeepSpeed's stages: 1 the optimizer, 2 gradients too,
    3 weights too, but for a vision tower; 0: each has all of it."""
    one_step_off: bool = False
    """A second copy of the weights that learn, which the engine in this process samples with."""
    offload_optimizer: bool = False
    """Masters, moments and gradients are in the host's memory."""
    cache_bytes: int = 0
    """Keys and values of the engine in this process; 0: there is none."""
    device: Literal["cuda", "cpu"] = "cuda"


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """Bytes on each GPU, by component.

    Example: ``Memory(parts={"weights": 16_584_333_312, …})``
    """

    parts: Mapping[str, int]
    host: int = 0
    """What of the optimizer is in the host's memory, for each GPU."""

    @property
    def total(self) -> int:
        return sum(self.parts.values())


@dataclass(frozen=True, kw_only=True, slots=True)
class _Kept:
    """What a training pass holds, which no stage of ZeRO shares out."""

    activations: int
    vision: int
    head: int


class MemoryModel:
    """Memory of one training job, for any number of GPUs."""

    def __init__(self, model: PlannedModel, training: Training) -> None:
        self.model = model
        self.training = training
        # These do not change activations, so the cached count serves for all their values.
        same = replace(training, zero=0, reference=False, offload_optimizer=False, cache_bytes=0)
        self._kept = _kept(model, same)

    def on(self, *, gpus: int) -> Memory:
        """Memory of each of so many GPUs."""
        model, training = self.model, self.training
        width, zero = training.dtype.itemsize, training.zero
        weights = model.weights * width
        shared = [gpus if zero >= stage and zero > 0 else 1 for stage in (1, 2, 3)]
        learnt = self._learnt()
        optimizer = {
            "gradients": learnt["gradients"] // shared[1],
            "master weights": learnt["master weights"] // shared[0],
            "AdamW": learnt["AdamW"] // shared[0],
        }
        if zero == 1 and learnt["master weights"]:
            # Its backward pass leaves narrow ones, which it adds to those in float32.
            optimizer["gradients"] += learnt["gradients"] // 4 * width
        seen = model.vision_weights * width
        host = 0
        if training.offload_optimizer and training.device == "cuda":
            # Stage 1 adds up whole gradients where they are made.
            away = {name for name in optimizer if zero != 1 or name != "gradients"}
            host = sum(optimizer.pop(name) for name in away)
            if zero == 2 and learnt["master weights"]:
                # DeepSpeed adds narrow ones up in float32 where they are made, and moves the sum.
                optimizer["gradients"] = learnt["gradients"] // gpus
        parts = {
            # The vision tower stays whole.
            "weights": (weights - seen) // shared[2] + seen,
            "weights to sample with": weights if zero == 3 and training.cache_bytes else 0,
            "adapter": model.adapter_weights * 4,
            "reference policy": weights if training.reference else 0,
            "weights of one step off": self._sampling,
            **optimizer,
            "activations": self._kept.activations,
            "vision": self._kept.vision,
            "head": self._kept.head,
            "KV cache": training.cache_bytes,
            "exchange": _exchange(model, gpus=gpus, zero=zero, width=width),
        }
        return Memory(parts={name: size for name, size in parts.items() if size}, host=host)

    @property
    def policy(self) -> int:
        """Bytes of a policy on disk."""
        model = self.model
        return model.weights * self.training.dtype.itemsize + model.adapter_weights * 4

    @property
    def state(self) -> int:
        """Bytes of a state on disk."""
        learnt = self._learnt()
        return self.policy + learnt["master weights"] + learnt["AdamW"] + self._sampling

    @property
    def _sampling(self) -> int:
        model, training = self.model, self.training
        if not training.one_step_off:
            return 0
        if model.lora is not None:
            return model.adapter_weights * 4
        frozen = model.vision_weights if training.freeze_vision else 0
        return (model.weights - frozen) * training.dtype.itemsize

    def _learnt(self) -> dict[str, int]:
        """Bytes of all that learning keeps, by component."""
        model, training = self.model, self.training
        weights = model.weights - (model.vision_weights if training.freeze_vision else 0)
        is_narrow = training.dtype.itemsize < 4 and model.lora is None
        if model.lora is not None:
            weights = model.adapter_weights
        return {
            "gradients": weights * 4,
            "master weights": weights * 4 if is_narrow else 0,
            "AdamW": weights * 8,
        }


def memory_of(model: PlannedModel, training: Training, *, gpus: int = 1) -> Memory:
    """Memory of each of so many GPUs that train."""
    return MemoryModel(model, training).on(gpus=gpus)


@lru_cache(maxsize=16)
def _kept(model: PlannedModel, training: Training) -> _Kept:
    width = training.dtype.itemsize
    grouped = training.device == "cuda"
    every, layer = model.language_bytes(training.tokens, training.dtype, grouped=grouped)
    if training.checkpoint_activations:
        inputs = model.text.num_hidden_layers * training.tokens * model.text.hidden_size * width
        every = inputs + layer
    patches = model.picture_patches(training.picture_side)
    if not training.pictures:
        vision = 0
    elif training.freeze_vision:
        at_once = min(max(PORTION, patches), patches * training.pictures)
        vision = model.frozen_vision_bytes(at_once, width)
    else:
        kept, block = model.vision_bytes(patches * training.pictures, training.dtype)
        if training.checkpoint_activations:
            states = patches * training.pictures * model.vision.hidden_size * width
            kept = model.vision.depth * states + block
        vision = kept
    rows = min(training.chosen, CHUNK_ROWS[training.device])
    head = rows * model.text.vocab_size * 4
    if model.lora is None:  # its gradient
        head += model.head_weights * 4
    head += 2 * training.chosen * model.text.hidden_size * width
    return _Kept(activations=every, vision=vision, head=head)


def _exchange(model: PlannedModel, *, gpus: int, zero: int, width: int) -> int:
    if gpus == 1 or zero == 0:
        return 0
    buckets = 2 * min(BUCKET, model.weights) * width
    return buckets + (min(LIVE, model.weights) * width if zero == 3 else 0)
