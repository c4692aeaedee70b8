"""What else computes the masked GRPO loss over a head, each through its own public call."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec

import torch
from torch import Tensor

import genagent_kernels as kernels

CLIP = 0.2


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """One loss: sequences of 256 tokens, the mask of each given by a density."""

    hidden: Tensor
    weight: Tensor
    target: Tensor
    old_logprob: Tensor
    advantage: Tensor
    mask: Tensor
    token_weight: Tensor

    def to(self, dtype: torch.dtype) -> "Inputs":
        """With hidden states and head rounded to ``dtype``, as new leaves."""
        return replace(
            self,
            hidden=self.hidden.detach().to(dtype).requires_grad_(),
            weight=self.weight.detach().to(dtype).requires_grad_(),
        )

    def first(self, rows: int) -> "Inputs":
        names = ("hidden", "target", "old_logprob", "advantage", "mask", "token_weight")
        return replace(self, **{name: getattr(self, name)[:rows] for name in names})


def make_inputs(rows: int, width: int, vocabulary: int, density: float) -> Inputs:
    """Random inputs at the scale of a trained head: logits with a spread of about 3."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    generator = torch.Generator(device).manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, device=device)

    mask = torch.rand(rows, generator=generator, device=device) < density
    return Inputs(
        hidden=normal(rows, width).to(dtype).requires_grad_(),
        weight=(3 * width**-0.5 * normal(vocabulary, width)).to(dtype).requires_grad_(),
        target=torch.randint(vocabulary, (rows,), generator=generator, device=device),
        old_logprob=-12 + normal(rows),
        # One advantage a trajectory, as GRPO has it.
        advantage=normal(-(-rows // 256)).repeat_interleave(256)[:rows],
        mask=mask,
        token_weight=torch.full((rows,), 1 / max(int(mask.sum()), 1), device=device),
    )


@dataclass(frozen=True, kw_only=True)
class Rival:
    """A loss with its gradients and, where it gives them out, the log-probs under it."""

    loss: Callable[[Inputs], Tensor]
    logprob: Callable[[Inputs], Tensor] | None
    is_grpo: bool = True
    """Without it the loss is a plain cross-entropy, whose gradients are others."""


def ours(x: Inputs, loss: Callable[..., kernels.GRPOLoss] = kernels.grpo_loss) -> Tensor:
    return loss(
        x.hidden,
        x.weight,
        x.target,
        old_logprob=x.old_logprob,
        advantage=x.advantage,
        mask=x.mask,
        token_weight=x.token_weight,
        clip_low=CLIP,
        clip_high=CLIP,
    ).loss


def our_logprob(x: Inputs) -> Tensor:
    return kernels.linear_logprob(x.hidden, x.weight, x.target).logprob


def naive_logprob(x: Inputs) -> Tensor:
    logprobs = torch.log_softmax((x.hidden @ x.weight.T).float(), dim=-1)
    return logprobs.gather(1, x.target[:, None]).squeeze(1)


def trl_logprob(x: Inputs) -> Tensor:
    from trl.trainer.utils import (  # pyright: ignore[reportMissingImports]
        selective_log_softmax,
    )

    logits = (x.hidden @ x.weight.T)[None]
    return selective_log_softmax(logits, x.target[None]).squeeze(0).float()


def cce_logprob(x: Inputs, *, masked: bool = False) -> Tensor:
    from cut_cross_entropy import (  # pyright: ignore[reportMissingImports]
        linear_cross_entropy,
    )

    impl = "cce" if x.hidden.is_cuda else "torch_compile"
    targets = torch.where(x.mask, x.target, -100) if masked else x.target
    return -linear_cross_entropy(x.hidden, x.weight, targets, reduction="none", impl=impl).float()


def verl_logprob(x: Inputs) -> Tensor:
    from verl.utils.experimental.torch_functional import (  # pyright: ignore[reportMissingImports]
        FusedLinearForPPO,
    )

    return FusedLinearForPPO()(x.hidden[None], x.weight, x.target[None])[0].squeeze(0)


def liger_loss(x: Inputs) -> Tensor:
    from liger_kernel.chunked_loss import (  # pyright: ignore[reportMissingImports]
        LigerFusedLinearGRPOLoss,
    )

    shape = (-1, min(256, len(x.target)))
    loss = LigerFusedLinearGRPOLoss(beta=0.0, compiled=False, use_ref_model=False, loss_type="bnpo")
    return loss(
        x.hidden.view(*shape, x.hidden.shape[1]),
        x.weight,
        x.target.view(shape),
        x.mask.view(shape).long(),
        x.advantage.view(shape)[:, 0],
        old_per_token_logps=x.old_logprob.view(shape),
    )[0]


def quack_loss(x: Inputs) -> Tensor:
    """A sum of plain cross-entropies: no ratio, no clip, no advantage, no log-probs."""
    from quack.linear_cross_entropy import (  # pyright: ignore[reportMissingImports]
        chunked_linear_cross_entropy,
    )

    targets = torch.where(x.mask, x.target, -100)
    return chunked_linear_cross_entropy(x.hidden, x.weight, targets, reduction="sum")


def clipped(logprob: Callable[[Inputs], Tensor]) -> Callable[[Inputs], Tensor]:
    """What a trainer does with log-probs of all rows; the mask comes in at the end."""

    def loss(x: Inputs) -> Tensor:
        ratio = (logprob(x) - x.old_logprob).exp()
        free, bounded = ratio * x.advantage, ratio.clamp(1 - CLIP, 1 + CLIP) * x.advantage
        return -(torch.minimum(free, bounded) * x.mask * x.token_weight).sum()

    return loss


def rivals() -> dict[str, Rival]:
    """Ours first; then what every machine has; then what is installed."""
    found = {
        "genagent": Rival(loss=ours, logprob=our_logprob),
        "naive PyTorch": Rival(loss=clipped(naive_logprob), logprob=naive_logprob),
        "torch.compile": Rival(
            loss=torch.compile(clipped(naive_logprob)), logprob=torch.compile(naive_logprob)
        ),
    }
    installed = {
        "TRL": ("trl", Rival(loss=clipped(trl_logprob), logprob=trl_logprob)),
        "Liger": ("liger_kernel", Rival(loss=liger_loss, logprob=None)),
        "CCE": (
            "cut_cross_entropy",
            Rival(loss=clipped(lambda x: cce_logprob(x, masked=True)), logprob=cce_logprob),
        ),
        "verl": ("verl", Rival(loss=clipped(verl_logprob), logprob=verl_logprob)),
    }
    if torch.cuda.is_available():  # Written for Hopper and later, on no other device.
        installed["quack"] = ("quack", Rival(loss=quack_loss, logprob=None, is_grpo=False))
    return found | {name: rival for name, (package, rival) in installed.items() if _has(package)}


def _has(package: str) -> bool:
    return find_spec(package) is not None
