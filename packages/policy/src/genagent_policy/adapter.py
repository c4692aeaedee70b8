"""LoRA: of a policy only small matrices beside its weights are learnt (Hu et al. 2021, arXiv
2106.09685), by peft.

A weight ``W`` acts as ``W + alpha / rank * B A``. The policy keeps calling its own layers, which
peft has wrapped in place: the engine samples with the matrices that the trainer updates, and
without them the policy is where it began, which a KL term needs no second copy for.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from genagent_policy.trained_config import LoRAPart

if TYPE_CHECKING:
    from genagent_policy.model import Model

logger = logging.getLogger("genagent_policy")

FASTER = 10
"""How many times the rate for whole weights an adapter wants (Schulman et al. 2025, "LoRA Without
Regret"): its second matrix begins at zero, and what it adds is small for long."""
LANGUAGE = r".*\.language_model\.layers\.\d+\.(self_attn|mlp)\.[a-z]+_proj"
VISION = r".*\.visual\.blocks\.\d+\.(attn|mlp)\.(qkv|proj|[a-z]+_proj|linear_fc[12])"
"""All products of the layers; embeddings, head and mergers stay."""
TARGETS: dict[LoRAPart, str] = {
    "language": LANGUAGE,
    "vision": VISION,
    "both": f"{LANGUAGE}|{VISION}",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class LoRA:
    """Which matrices are learnt."""

    rank: int
    alpha: float
    """What they add counts ``alpha / rank``."""
    part: LoRAPart


class Adapter:
    """The matrices of one policy, which become a part of its model; they alone are trainable."""

    def __init__(self, model: "Model", lora: LoRA, *, saved: Path | None = None) -> None:
        """
        Args:
            saved: folder with matrices to go on from; None: they begin where they add nothing.

        Raises:
            ValueError: the folder holds none, or others than asked for.
        """
        from peft import LoraConfig

        config = LoraConfig(
            r=lora.rank,
            lora_alpha=lora.alpha,  # pyright: ignore[reportArgumentType]
            target_modules=TARGETS[lora.part],
        )
        with warnings.catch_warnings():
            # peft 0.21 asks for a property by a name that transformers 5.23 calls the former one.
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
            self._peft = _wrapped(model, config, saved)

    def save(self, path: Path) -> None:
        """Write the matrices into a folder, in peft's layout. Raises OSError where they cannot."""
        try:
            self._peft.save_pretrained(str(path), save_embedding_layers=False)
        except SafetensorError as error:
            raise OSError(f"cannot write the adapter to {path} ({error})") from error

    def disabled(self) -> AbstractContextManager[None]:
        """Inside, the policy is what it is without them."""
        return self._peft.disable_adapter()

    def weights(self) -> Iterator[tuple[str, nn.Parameter, Any]]:
        """Of each of the model's weights the name that a checkpoint has for it, the weight itself
        and peft's layer whose matrices are added to it, or None."""
        from peft.tuners.lora import LoraLayer

        model = self._peft.get_base_model()
        adapted = {n: each for n, each in model.named_modules() if isinstance(each, LoraLayer)}
        for name, weight in model.named_parameters():
            owner, _, rest = name.rpartition(".base_layer.")
            if owner in adapted:
                yield f"{owner}.{rest}", weight, adapted[owner] if rest == "weight" else None
            elif ".lora_" not in name:
                yield name, weight, None

    @torch.no_grad()
    def merged(self) -> Iterator[tuple[str, Tensor]]:
        """Name and tensor of each of ``weights``, with what the matrices add, rounded to the
        weight's dtype: a new tensor where something was added."""
        for name, weight, layer in self.weights():
            tensor = weight.detach()
            if layer is not None:
                added = layer.get_delta_weight("default").float()
                tensor = (tensor.float() + added).to(tensor.dtype)
            yield name, tensor


def warn_of_rate(rate: float, *, whole: float) -> None:
    """A line where an adapter is to learn hardly faster than whole weights would.

    Args:
        whole: the paper's rate, for all weights.
    """
    if rate < whole * FASTER / 2:
        logger.warning(
            "learning rate %g is one for whole weights; an adapter hardly learns by it, and most "
            "of what it learns is lost when it is rounded into bfloat16: give --lr %g",
            rate,
            whole * FASTER,
        )


def _wrapped(model: "Model", config: Any, saved: Path | None) -> Any:
    """The model as peft has it; raises ValueError where ``saved`` is not what ``config`` says."""
    from peft import LoraConfig, PeftModel, get_peft_model

    if saved is None:
        # Not from the run's own chance, so that nothing else is drawn otherwise than without.
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return get_peft_model(model, config)
    try:
        found: Any = LoraConfig.from_pretrained(str(saved))
        for name in ("r", "lora_alpha", "target_modules"):
            if getattr(found, name) != getattr(config, name):
                raise ValueError(f"{name} is {getattr(found, name)!r} there, not as asked for")
        return PeftModel.from_pretrained(model, str(saved), is_trainable=True)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ValueError(f"{saved}: no adapter to go on with: {error}") from error
