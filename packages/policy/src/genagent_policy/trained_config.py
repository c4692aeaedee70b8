"""Which policy is loaded to learn, and what of it learns."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from genagent_policy.checkpoint import ADAPTER, check_architecture
from genagent_policy.config import PolicyConfig

if TYPE_CHECKING:
    from genagent_policy.adapter import LoRA
    from genagent_policy.model import Policy

LoRAPart = Literal["language", "vision", "both"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainedPolicyConfig(PolicyConfig):
    """The policy, its place, and what of it learns."""

    checkpoint_activations: bool = False
    """Whether training keeps the layers' inputs only and computes the rest again: less memory, a
    third more time."""
    lora_rank: int = 0
    """Learn matrices of that rank beside the layers' weights instead of all weights (LoRA), 16 or
    64 for example; 0: all weights."""
    lora_alpha: float | None = None
    """What they add is scaled by lora_alpha / lora_rank; None: twice the rank."""
    lora_part: LoRAPart = "language"
    """Whose layers have them: the language model's, the vision tower's, or both."""

    def __post_init__(self) -> None:
        PolicyConfig.__post_init__(self)  # slots make a new class, which super() does not find
        if self.lora_rank < 0:
            raise ValueError(f"lora_rank is {self.lora_rank}; wants 1 or more, or 0 for none")
        if self.lora_alpha is not None and self.lora_alpha <= 0:
            raise ValueError(f"lora_alpha is {self.lora_alpha}; wants more than 0, or None")

    def problems(self, shipped: Mapping[str, Path]) -> list[str]:
        """As of any policy, and what keeps it from learning."""
        lines = PolicyConfig.problems(self, shipped)
        if lines or self.dtype != "saved":
            return lines
        saved = check_architecture(self.folder(shipped))
        if "float16" in (saved.get("dtype"), saved.get("torch_dtype")):
            lines.append(
                f"{self.policy} is saved in float16, in which gradients of single tokens vanish; "
                "give --dtype bfloat16 or float32"
            )
        return lines

    def load(
        self,
        shipped: Mapping[str, Path],
        *,
        words: int | None = None,
        saved: Path | None = None,
    ) -> "Policy":
        """The policy, from ``saved`` where an earlier part of the run left it.

        Args:
            words: of a prompt that the tool reads, told to the agent; None: nothing is said of it.

        Raises:
            ValueError: the checkpoint is unreadable, damaged or of another architecture.
        """
        lora = self.lora()
        # What was saved of an adapter belongs to the very weights that the run began with.
        path = self.folder(shipped) if saved is None or lora is not None else saved
        return self._load(
            path,
            words=words,
            checkpoint_activations=self.checkpoint_activations,
            lora=lora,
            saved_adapter=None if saved is None else saved / ADAPTER,
        )

    def lora(self) -> "LoRA | None":
        """The adapter that alone is learnt; None: all weights are."""
        from genagent_policy.adapter import LoRA

        if not self.lora_rank:
            return None
        alpha = self.lora_alpha or 2 * self.lora_rank
        return LoRA(rank=self.lora_rank, alpha=alpha, part=self.lora_part)
