"""The policy: a multimodal model, its processor and its chat framing.

The model is entered below its own ``forward``: embeddings, positions and the attention mask are
made here, so that training and the generation engine run the very same code, no state such as
``rope_deltas`` survives a call, and logits over the vocabulary are only ever computed for the
tokens that need them (by ``genagent_kernels``).
"""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from copy import copy, deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from genagent_data import ToolSyntax
from genagent_kernels import linear_logprob
from genagent_policy.activations import checkpointed_layers
from genagent_policy.adapter import Adapter, LoRA
from genagent_policy.attention import bounds_for_kernel, choose_attention, kernels_of_parts
from genagent_policy.batching import Batch, collate
from genagent_policy.chat import ChatFormat
from genagent_policy.checkpoint import load_model, load_processor, save_checkpoint
from genagent_policy.config import Attention
from genagent_policy.families import family_of
from genagent_policy.families.family import Embedded
from genagent_policy.patches import portions
from genagent_policy.ranks import ALONE, Ranks
from genagent_policy.shared_weights import gathered, is_shared_out, whole_shape
from genagent_policy.tokens import TokenTrajectory

if TYPE_CHECKING:
    # Three seconds of imports that a command line's --help does not need.
    from transformers import (
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
        Qwen3VLForConditionalGeneration,
        Qwen3VLProcessor,
    )
    from transformers.models.qwen2_5_vl.configuration_qwen2_5_vl import Qwen2_5_VLTextConfig
    from transformers.models.qwen3_vl.configuration_qwen3_vl import Qwen3VLTextConfig

    Model = Qwen2_5_VLForConditionalGeneration | Qwen3VLForConditionalGeneration
    Processor = Qwen2_5_VLProcessor | Qwen3VLProcessor
    TextConfig = Qwen2_5_VLTextConfig | Qwen3VLTextConfig


PORTION = 3 * 74 * 74
"""Patches the vision tower takes at once, unless one picture has more: three of 1024x1024, or 456
of the miniature. A patch takes 43 KB on its way through the 7B's tower in bfloat16, a portion 0.7
GB; 96 pictures of 1024x1024 at once would take 23."""


class Policy:
    """A model of a supported family with everything needed to train it and to act with it."""

    def __init__(
        self,
        model: "Model",
        processor: "Processor",
        *,
        system: str | None = None,
        tool_syntax: ToolSyntax | None = None,
        checkpoint_activations: bool = False,
    ) -> None:
        """
        Args:
            system: system message of its conversations; by default the protocol's.
            tool_syntax: in which it calls the tool; by default its family's.
            checkpoint_activations: whether passes for training keep only the layers' inputs and
                compute the rest again: less memory, a third more time.

        Raises:
            ValueError: the model or the processor is of no supported family.
        """
        self.family = family_of(model.config.model_type)
        self.model = model.eval()
        self.processor = processor
        self.checkpoint_activations = checkpoint_activations
        self.adapter: Adapter | None = None
        """What alone is learnt; None: all weights are."""
        self.chat = ChatFormat(
            processor, system=system, tool_syntax=tool_syntax or self.family.tool_syntax
        )
        layer_types = set(getattr(self.text_config, "layer_types", None) or ["full_attention"])
        if layer_types != {"full_attention"}:
            raise ValueError(
                f"attention layers are {sorted(layer_types)}; only full attention is supported "
                "(set use_sliding_window to false in the checkpoint's config.json)"
            )

    @classmethod
    def load(
        cls,
        path: Path | str,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype | None = None,
        system: str | None = None,
        tool_syntax: ToolSyntax | None = None,
        max_pixels: int | None = None,
        attention: Attention = "auto",
        checkpoint_activations: bool = False,
        lora: LoRA | None = None,
        saved_adapter: Path | None = None,
    ) -> "Policy":
        """Load a checkpoint folder; nothing is fetched from the network.

        Args:
            dtype: of the weights; by default the one they were saved in.
            system: system message of its conversations; by default the protocol's.
            tool_syntax: in which it calls the tool; by default its family's.
            max_pixels: larger pictures are shown smaller; by default what the checkpoint says. It
                is saved with the policy.
            attention: kernel of the passes for training and of the vision tower.
            checkpoint_activations: as for ``Policy``.
            lora: an adapter that alone is learnt; None: all weights are.
            saved_adapter: where an earlier part of the run left it; None: it begins with nothing.

        Raises:
            ValueError: the folder is missing, unreadable, damaged or of another architecture, the
                attention does not run there, or the adapter cannot be read.
        """
        model = load_model(Path(path), dtype=dtype)
        processor = load_processor(Path(path), max_pixels=max_pixels)
        try:
            policy = cls(
                model,
                processor,
                system=system,
                tool_syntax=tool_syntax,
                checkpoint_activations=checkpoint_activations,
            )
            kernel = choose_attention(attention, device=torch.device(device), dtype=policy.dtype)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        torch.nn.Module.to(model, torch.device(device))
        model.set_attn_implementation(kernels_of_parts(kernel))
        if lora is not None:
            policy.adapter = Adapter(model, lora, saved=saved_adapter)
        return policy

    def save(self, path: Path | str, ranks: Ranks = ALONE) -> None:
        """Write a checkpoint folder, whole or not at all; an older one there is replaced. Where
        there is an adapter, the folder's weights have it in them, and it stands by itself in a
        folder inside.

        Args:
            ranks: who has the policy; the first one writes, and all take part.

        Raises:
            OSError: it cannot be written; what was at ``path`` before is still there.
        """
        whole = self.weights()
        if ranks.rank == 0:
            self.write(path, whole)
        elif is_shared_out(self.model):
            deque(whole, maxlen=0)

    def write(self, path: Path | str, whole: Iterator[tuple[str, Tensor]]) -> None:
        """``save``, by one of several ranks that all go through ``whole``, their ``weights``."""
        weights = None
        if self.adapter is not None or is_shared_out(self.model):
            # In the machine's memory: on no GPU is more than one of them there twice.
            weights = {name: tensor.cpu().clone() for name, tensor in whole}
            names = {parameter: name for name, parameter in self.model.named_parameters()}
            for name, parameter in self.model.named_parameters(remove_duplicate=False):
                if name != names[parameter]:  # a tied head
                    weights[name] = weights[names[parameter]]
        save_checkpoint(self.model, self.processor, Path(path), weights, self.adapter)

    def weights(self) -> Iterator[tuple[str, Tensor]]:
        """Name and whole tensor of each parameter as a checkpoint has them, an adapter in them, in
        the same order every time. Where ZeRO 3 has shared them out, all ranks go through them
        together, and each tensor is there until the next one is asked for."""
        if self.adapter is not None:
            yield from self.adapter.merged()
            return
        for name, parameter in self.model.named_parameters():
            with gathered(parameter):
                yield name, parameter.detach()

    def whole_copy(self) -> "Policy":
        """One with whole weights of its own, whatever those are, where ZeRO 3 has shared out these;
        ``copy_weights`` fills it in. The vision tower, which is whole, is the same one."""
        kind = cast("Any", type(self.model))
        with torch.device(self.device):
            # Whatever the vision tower runs with; the copy's language model samples with its own.
            how = {"dtype": self.dtype, "attn_implementation": "sdpa"}
            model = kind._from_config(deepcopy(self.model.config), **how)
        model.model.visual = self.model.model.visual
        whole = copy(self)
        whole.model = model.eval().requires_grad_(False)
        return whole

    def shapes(self) -> list[tuple[str, torch.dtype, tuple[int, ...]]]:
        """Name, dtype and shape of each of ``weights``."""
        every = self.model.named_parameters()
        if self.adapter is not None:
            every = ((name, weight) for name, weight, _ in self.adapter.weights())
        return [(name, weight.dtype, whole_shape(weight)) for name, weight in every]

    @property
    def device(self) -> torch.device:
        return self.model.lm_head.weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self.model.lm_head.weight.dtype

    @property
    def text_config(self) -> "TextConfig":
        """Sizes of the language model."""
        return cast("TextConfig", self.model.config.text_config)

    @property
    def head_width(self) -> int:
        """Of the language model's attention."""
        return self.family.head_width(self.text_config)

    @property
    def head_weight(self) -> Float[Tensor, "vocabulary hidden"]:
        """Weight of the output layer, which has no bias."""
        return self.model.lm_head.weight

    def freeze_vision(self, frozen: bool = True) -> None:
        """Whether the vision tower (its mergers included) keeps its weights in training. Of a
        policy with an adapter nothing but that is trained, whatever is said here."""
        if self.adapter is None:
            self.model.model.visual.requires_grad_(not frozen)

    @property
    def vision_is_frozen(self) -> bool:
        """Whether training leaves the vision tower as it is."""
        return not any(each.requires_grad for each in self.model.model.visual.parameters())

    def trainable_parameters(self) -> list[torch.nn.Parameter]:
        return [parameter for parameter in self.model.parameters() if parameter.requires_grad]

    def picture_features(
        self, pixel_values: UInt8[Tensor, "patches dim"], grids: Int64[Tensor, "pictures 3"]
    ) -> Float[Tensor, "tokens levels hidden"]:
        """What the vision tower makes of pictures, some at a time; no gradient is kept where it is
        frozen. Level 0 stands at the language model's input, others are added further up."""
        taken = portions(grids, max_patches=PORTION)
        pixels = pixel_values.split([patches for _, patches in taken])
        sizes = grids.split([pictures for pictures, _ in taken])
        features: list[Tensor] = []
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.vision_is_frozen):
            for patches, grid in zip(pixels, sizes, strict=True):
                seen = self.model.model.get_image_features(
                    self.chat.expand_pictures(patches.to(self.device), self.dtype),
                    cast(torch.LongTensor, grid.to(self.device)),
                )
                features.append(self.family.levels(seen))
        return torch.cat(features)

    def collate(self, trajectories: Sequence[TokenTrajectory]) -> Batch:
        """The trajectories as one batch, in their order, where the policy is."""
        return collate(
            trajectories,
            image_token_id=self.chat.image_token_id,
            merge_size=self.chat.merge_size,
        ).to(self.device)

    def embed(self, batch: Batch) -> Embedded:
        """Token embeddings, with the pictures' features in the places marked for them."""
        embeddings = self.model.model.language_model.embed_tokens(batch.ids)
        if batch.grids.shape[0] == 0:
            return Embedded(states=embeddings, is_picture=batch.picture_mask)
        features = batch.features
        if features is None:
            features = self.picture_features(batch.pixel_values, batch.grids)
        features = features.to(embeddings.dtype)
        return Embedded(
            states=embeddings.masked_scatter(batch.picture_mask[:, None], features[:, 0]),
            is_picture=batch.picture_mask,
            deeper=features[:, 1:].transpose(0, 1),
        )

    def text_states(
        self, embedded: Embedded, positions: Int64[Tensor, "3 tokens"], lengths: Sequence[int]
    ) -> Float[Tensor, "tokens hidden"]:
        """Run the language model, causally within each trajectory; never computes logits.

        Args:
            lengths: tokens of each trajectory.
        """
        mask, bounds = bounds_for_kernel(self.model, embedded.states, lengths)
        output = self.model.model.language_model(
            **self.family.text_inputs(embedded, mask),
            **bounds,
            position_ids=positions[:, None],
            use_cache=False,
        )
        return output.last_hidden_state[0]

    def hidden_states(self, batch: Batch) -> Float[Tensor, "tokens hidden"]:
        """Last hidden states, trajectory by trajectory."""
        recompute = self.checkpoint_activations and torch.is_grad_enabled()
        with checkpointed_layers(self.model) if recompute else nullcontext():
            return self.text_states(self.embed(batch), batch.positions, batch.lengths)

    def policy_states(
        self, batch: Batch
    ) -> tuple[Float[Tensor, "chosen hidden"], Int64[Tensor, " chosen"]]:
        """For each token the policy chose, in order: the state it was chosen from, and its id."""
        chosen = batch.policy_mask[1:]
        return self.hidden_states(batch)[:-1][chosen], batch.ids[1:][chosen]

    def logprobs(self, batch: Batch, temperature: float = 1.0) -> Float[Tensor, " tokens"]:
        """Float32 log-probability of each token the policy chose, at that token's place; else 0."""
        states, targets = self.policy_states(batch)
        scored = linear_logprob(states, self.head_weight, targets, temperature=temperature)
        return torch.zeros_like(batch.logprobs).masked_scatter(batch.policy_mask, scored.logprob)
