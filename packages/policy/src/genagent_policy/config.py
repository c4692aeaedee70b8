"""Which policy is loaded, and where to."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from genagent_data import system_message
from genagent_policy.checkpoint import check_architecture
from genagent_policy.model import Policy


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicyConfig:
    """The policy and its place."""

    policy: str = "sft"
    """Where it starts: a checkpoint folder, or the name of one that ships with the world."""
    device: str = "cpu"
    """Where it acts and learns: cpu, cuda or cuda:0."""
    dtype: Literal["saved", "float32", "bfloat16"] = "saved"
    """Of the weights; by default the one they were saved in."""
    word_limit: int = 0
    """Words of a prompt that the tool reads, told to the agent; 0: nothing is said of it."""

    def __post_init__(self) -> None:
        if self.word_limit < 0:
            raise ValueError(f"word_limit is {self.word_limit}; wants 0 or more")

    def problems(self, shipped: Mapping[str, Path]) -> list[str]:
        """What keeps it from loading, a line each; no weight is read.

        Args:
            shipped: checkpoints by name.
        """
        lines = []
        if not self.policy:
            lines.append("--policy is missing: give a checkpoint folder of a Qwen2.5-VL")
        elif self.policy not in shipped and not Path(self.policy).is_dir():
            known = f"{' or '.join(shipped)}, or a checkpoint folder" if shipped else "a folder"
            lines.append(f"no policy {self.policy!r}; give {known}")
        else:
            try:
                check_architecture(self._path(shipped))
            except ValueError as error:
                lines.append(str(error))
        if self.device.startswith("cuda") and not torch.cuda.is_available():
            lines.append(f"--device is {self.device!r}, and torch finds no CUDA here; give cpu")
        return lines

    def load(self, shipped: Mapping[str, Path], *, saved: Path | None = None) -> Policy:
        """The policy, from ``saved`` where an earlier part of the run left it.

        Raises:
            ValueError: the checkpoint is unreadable, damaged or of another architecture.
        """
        return Policy.load(
            saved or self._path(shipped),
            device=self.device,
            dtype=None if self.dtype == "saved" else getattr(torch, self.dtype),
            system=system_message(words=self.word_limit or None),
        )

    def _path(self, shipped: Mapping[str, Path]) -> Path:
        return shipped.get(self.policy, Path(self.policy))
