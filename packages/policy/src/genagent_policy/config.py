"""Which policy is loaded, and where to. Torch loads where it is asked for something."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from genagent_data import ToolSyntax, system_message
from genagent_data.devices import device_problem
from genagent_policy.checkpoint import check_architecture, load_processor, read_vocabulary
from genagent_weights import fingerprint

if TYPE_CHECKING:
    from genagent_policy.chat import ChatFormat
    from genagent_policy.model import Policy

Attention = Literal["auto", "sdpa", "flash_attention_2", "eager"]


def flash_is_installed() -> bool:
    return find_spec("flash_attn") is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicyConfig:
    """The policy and its place."""

    policy: str = "sft"
    """Where it starts: a checkpoint folder, a run's folder, or the name of one that ships with the
    world."""
    device: str = "cpu"
    """Where it is: cpu, cuda or cuda:0."""
    dtype: Literal["saved", "float32", "bfloat16"] = "saved"
    """Of the weights; by default the one they were saved in."""
    max_pixels: int | None = None
    """Of a picture as the agent sees it; larger ones are shown smaller; None: as the checkpoint
    says."""
    tool_syntax: ToolSyntax | None = None
    """In which the agent calls the tool; None: as its family has learnt it, which is
    hermes for Qwen2.5-VL and Qwen3-VL."""
    attention: Attention = "auto"
    """Kernel of training passes and of the vision tower; auto: flash_attention_2 where it is
    installed and runs, else sdpa. Sampling takes sdpa."""

    def __post_init__(self) -> None:
        if self.max_pixels is not None and self.max_pixels < 1:
            raise ValueError(f"max_pixels is {self.max_pixels}; wants 1 or more, or None")

    def problems(self, shipped: Mapping[str, Path]) -> list[str]:
        """What keeps it from loading, a line each; no weight is read.

        Args:
            shipped: checkpoints by name.
        """
        lines = []
        if not self.policy:
            lines.append(
                "--policy is missing: give a checkpoint folder of a Qwen2.5-VL or Qwen3-VL"
            )
        elif self.policy not in shipped and not Path(self.policy).is_dir():
            known = f"{' or '.join(shipped)}, or a checkpoint folder" if shipped else "a folder"
            lines.append(f"no policy {self.policy!r}; give {known}")
        else:
            try:
                lines.extend(self._picture_problems(check_architecture(self.folder(shipped))))
            except ValueError as error:
                lines.append(str(error))
        problem = device_problem(self.device)
        if problem is not None:
            lines.append(f"--device is {problem}")
        elif (number := self.device.partition("cuda:")[2]) not in ("", "0"):
            lines.append(
                f"--device is {self.device!r}; Triton's kernels run on the first GPU that a "
                f"process sees: CUDA_VISIBLE_DEVICES={number} makes it that one, with --device cuda"
            )
        if self.attention == "flash_attention_2":
            lines.extend(self._flash_problems())
        return lines

    def load(self, shipped: Mapping[str, Path], *, words: int | None = None) -> "Policy":
        """The policy.

        Args:
            words: of a prompt that the tool reads, told to the agent; None: nothing is said of it.

        Raises:
            ValueError: the checkpoint is unreadable, damaged or of another architecture.
        """
        return self._load(self.folder(shipped), words=words)

    def load_chat(self, shipped: Mapping[str, Path], *, words: int | None = None) -> "ChatFormat":
        """How it is talked to, without it: no weight is read.

        Args:
            words: as for ``load``.

        Raises:
            ValueError: as ``load``, but for the weights.
        """
        from genagent_policy.chat import ChatFormat

        path = self.folder(shipped)
        syntax = self._syntax(path)
        return ChatFormat(
            load_processor(path, max_pixels=self.max_pixels),
            system=system_message(words=words, syntax=syntax),
            tool_syntax=syntax,
        )

    def vocabulary(self, shipped: Mapping[str, Path]) -> int:
        """Ids that it may sample, from 0; no weight is read. Raises ValueError as ``load_chat``."""
        return read_vocabulary(self.folder(shipped))

    def _load(self, path: Path, *, words: int | None, **learning: Any) -> "Policy":
        import torch

        from genagent_policy.model import Policy

        syntax = self._syntax(path)
        return Policy.load(
            path,
            device=self.device,
            dtype=None if self.dtype == "saved" else getattr(torch, self.dtype),
            system=system_message(words=words, syntax=syntax),
            tool_syntax=syntax,
            max_pixels=self.max_pixels,
            attention=self.attention,
            **learning,
        )

    def _syntax(self, path: Path) -> ToolSyntax:
        from genagent_policy.families import family_of

        return self.tool_syntax or family_of(check_architecture(path)["model_type"]).tool_syntax

    def name(self, shipped: Mapping[str, Path]) -> str:
        """All that what it says depends on, but for sampling: its weights, how it sees and how it
        calls the tool.

        Raises:
            OSError: the checkpoint cannot be read.
        """
        syntax = "" if self.tool_syntax is None else f" {self.tool_syntax}"
        weights = fingerprint(self.folder(shipped))
        return f"{weights} {self.dtype} pixels={self.max_pixels}{syntax}"

    def _picture_problems(self, checkpoint: Mapping[str, Any]) -> list[str]:
        vision = checkpoint.get("vision_config", {})
        token = (vision.get("patch_size", 14) * vision.get("spatial_merge_size", 2)) ** 2
        if self.max_pixels is None or self.max_pixels >= token:
            return []
        least = f"a picture of one token has {token}"
        return [f"--max-pixels is {self.max_pixels}, and {least}; give that or more"]

    def _flash_problems(self) -> list[str]:
        lines = []
        asked = "--attention is 'flash_attention_2', and"
        if not flash_is_installed():
            lines.append(f"{asked} flash_attn is not installed; run uv sync --extra flash")
        if not self.device.startswith("cuda"):
            lines.append(f"{asked} --device is {self.device!r}; give cuda, or --attention sdpa")
        if self.dtype == "float32":
            lines.append(f"{asked} --dtype is 'float32'; give bfloat16, or --attention sdpa")
        return lines

    def folder(self, shipped: Mapping[str, Path]) -> Path:
        """Where the checkpoint is: in the folder itself, or in a run's folder under ``policy``."""
        found = shipped.get(self.policy, Path(self.policy))
        return found / "policy" if (found / "policy" / "config.json").is_file() else found
