"""How many processes learn together, as options. Nothing here loads torch.

``torchrun`` and ``deepspeed`` start the same command many times and tell each process its place by
environment variables: RANK of WORLD_SIZE, LOCAL_RANK on its machine, MASTER_ADDR and MASTER_PORT.
"""

import os
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from genagent_policy.ranks import Ranks

ZeroStage = Literal[0, 1, 2, 3]

TOLD = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
"""What a launcher tells a process."""


def is_launched() -> bool:
    """Whether a launcher has started this process."""
    return all(name in os.environ for name in TOLD)


@dataclass(frozen=True, kw_only=True, slots=True)
class DistributedConfig:
    """What the processes that torchrun or deepspeed has started share, and how long they wait."""

    zero: ZeroStage = 0
    """What each process has only its part of (ZeRO, Rajbhandari et al. 2020, by DeepSpeed): 0
    nothing; 1 the optimizer; 2 gradients as well; 3 weights as well."""
    offload_optimizer: bool = False
    """Whether the optimizer (12 bytes a parameter, and 4 of its gradient) is kept and stepped in
    the machine's memory and not in the GPU's: slower. By one process too, and with any zero."""
    collective_seconds: float = 1800.0
    """That a process waits for the others, who may sample for longer; then the job ends."""
    silence_seconds: float = 30.0
    """After which a process that is not heard of is taken for dead, and the job ends."""

    def __post_init__(self) -> None:
        if self.zero not in (0, 1, 2, 3):
            raise ValueError(f"distributed.zero is {self.zero}; wants 0, 1, 2 or 3")
        for name in ("collective_seconds", "silence_seconds"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"distributed.{name} is {getattr(self, name)}; wants more than 0")

    def problems(
        self,
        *,
        device: str,
        freeze_vision: bool,
        lora_rank: int = 0,
        one_step_off: bool = False,
        before_launch: bool = False,
    ) -> list[str]:
        """What keeps the processes from learning together, a line each.

        Args:
            device: of the policy, as its option has it.
            freeze_vision: whether the vision tower keeps its weights.
            lora_rank: of an adapter that alone is learnt; 0: there is none.
            one_step_off: whether the next step is sampled while this one is learnt from.
            before_launch: whether a launcher is yet to start them.
        """
        lines = []
        if self.zero and not before_launch and not is_launched():
            lines.append(
                f"--distributed.zero is {self.zero}, and this process is by itself; start it with "
                "torchrun --nproc-per-node N, or leave the option out"
            )
        if self.zero and find_spec("deepspeed") is None:
            lines.append(
                f"--distributed.zero is {self.zero}, and DeepSpeed is not installed; run "
                "uv pip install 'genagent-policy[deepspeed]', or take 0"
            )
        if self.zero == 3 and lora_rank:
            lines.append(
                "--distributed.zero is 3, which shares out weights that an adapter is added to: "
                "leave out --lora-rank, or take 0, 1 or 2"
            )
        elif self.zero == 3 and not freeze_vision:
            lines.append(
                "--distributed.zero is 3, which shares out the language model's weights and wants "
                "the vision tower frozen: give --grpo.freeze-vision or --sft.freeze-vision, or 2"
            )
        if self.zero == 3 and one_step_off:
            lines.append(
                "--distributed.zero is 3, which gathers the weights to sample with as they are: "
                "leave out --one-step-off, or take 0, 1 or 2"
            )
        is_shared = is_launched() and int(os.environ["WORLD_SIZE"]) > 1
        if one_step_off and is_shared:
            lines.append(
                "--one-step-off samples on a thread beside the update, and processes that a "
                "launcher has started would each enter the collectives in a different order; start "
                "one process without it, or leave the option out"
            )
        if is_shared and device.startswith("cuda:"):
            lines.append(
                f"--device is {device!r} for {os.environ['WORLD_SIZE']} processes; give cuda, of "
                "which each process takes its own"
            )
        return lines

    def join(self, device: str) -> "Ranks":
        """The processes of this job; one by itself where no launcher has started it.

        Raises:
            ValueError: they do not find each other, or this one finds no GPU of its own.
        """
        from genagent_policy.ranks import ALONE

        if not is_launched():
            return ALONE
        import torch

        from genagent_policy.job import Job

        place = torch.device(device)
        local_rank = int(os.environ["LOCAL_RANK"])
        if place.type == "cuda" and local_rank >= torch.cuda.device_count():
            raise ValueError(
                f"process {local_rank} of this machine wants a GPU of its own, and there are "
                f"{torch.cuda.device_count()}; give --nproc-per-node {torch.cuda.device_count()}"
            )
        if place.type == "cpu":
            os.environ.setdefault("DS_ACCELERATOR", "cpu")
        return Job(
            device=place,
            local_rank=local_rank,
            seconds=self.collective_seconds,
            silence=self.silence_seconds,
        )
