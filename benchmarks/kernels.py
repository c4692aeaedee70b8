"""The fused GRPO loss against what else computes it, side by side in one run.

    uv run benchmarks/kernels.py                   # CPU: a narrow head, Qwen2.5's vocabulary
    uv run benchmarks/kernels.py --rows 512        # quicker
    uv run --with liger-kernel --with trl --with cut-cross-entropy benchmarks/kernels.py

Each rival takes part if it can be imported. Every figure is forward and backward, with gradients
for hidden states and head. Times are medians over rounds in which all take a turn, with the
quartiles; memory is the peak of a process of its own above its inputs; errors are against float64.
On a GPU the same runs with Qwen2.5-VL-7B's head, and the floor is three bare products.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
import tyro
from torch import Tensor

import genagent_kernels as kernels
from genagent_kernels import reference
from genagent_tracking import print_line, print_table, write_text

CLIP = 0.2


@dataclass(frozen=True, kw_only=True)
class KernelsConfig:
    """What is measured."""

    rows: tuple[int, ...] = (512, 2048)
    density: tuple[float, ...] = (1.0, 0.33)
    """Shares of rows in the mask."""
    vocabulary: int = 152064
    width: int = 0
    """Of the hidden states; 0 is 3584 on a GPU and 256 on a CPU."""
    rounds: int = 5
    """Turns of each rival."""
    output: Path = Path("runs/kernels.json")
    memory_of: str = ""
    """Internal: measure one rival's memory in this process."""


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """One loss: sequences of 256 tokens, the rest of each sequence's mask given by density."""

    hidden: Tensor
    weight: Tensor
    target: Tensor
    old_logprob: Tensor
    advantage: Tensor
    mask: Tensor
    token_weight: Tensor


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


def clipped_loss(x: Inputs, logprob: Tensor) -> Tensor:
    """What a trainer does with log-probs of all rows; the mask comes in at the end."""
    ratio = (logprob - x.old_logprob).exp()
    free, clipped = ratio * x.advantage, ratio.clamp(1 - CLIP, 1 + CLIP) * x.advantage
    return -(torch.minimum(free, clipped) * x.mask * x.token_weight).sum()


def naive(x: Inputs) -> Tensor:
    logprobs = torch.log_softmax((x.hidden @ x.weight.T).float(), dim=-1)
    return clipped_loss(x, logprobs.gather(1, x.target[:, None]).squeeze(1))


def trl_loss(x: Inputs) -> Tensor:
    from trl.trainer.utils import (  # pyright: ignore[reportMissingImports]
        selective_log_softmax,
    )

    logits = (x.hidden @ x.weight.T)[None]
    return clipped_loss(x, selective_log_softmax(logits, x.target[None]).squeeze(0).float())


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


def cce_loss(x: Inputs) -> Tensor:
    from cut_cross_entropy import (  # pyright: ignore[reportMissingImports]
        linear_cross_entropy,
    )

    impl = "cce" if x.hidden.is_cuda else "torch_compile"
    targets = torch.where(x.mask, x.target, -100)
    nll = linear_cross_entropy(x.hidden, x.weight, targets, reduction="none", impl=impl)
    return clipped_loss(x, -nll.float())


def rivals() -> dict[str, Callable[[Inputs], Tensor]]:
    """Ours first; then what every machine has; then what is installed."""
    found: dict[str, Callable[[Inputs], Tensor]] = {
        "genagent": ours,
        "naive PyTorch": naive,
        "torch.compile": torch.compile(naive),
    }
    for package, name, rival in (
        ("trl", "TRL", trl_loss),
        ("liger_kernel", "Liger", liger_loss),
        ("cut_cross_entropy", "CCE", cce_loss),
    ):
        if find_spec(package):
            found[name] = rival
    return found


def step(rival: Callable[[Inputs], Tensor], x: Inputs) -> Tensor:
    """Forward and backward, from no gradients."""
    x.hidden.grad = x.weight.grad = None
    loss = rival(x)
    loss.backward()
    if loss.is_cuda:
        torch.cuda.synchronize()
    return loss.detach()


def floor(x: Inputs) -> None:
    """The three products that no implementation can do without, over the rows of the mask."""
    with torch.no_grad():
        hidden = x.hidden[x.mask]
        logits = hidden @ x.weight.T
        _ = logits @ x.weight, logits.T @ hidden
    if x.hidden.is_cuda:
        torch.cuda.synchronize()


def exact_gradients(x: Inputs) -> list[Tensor]:
    """For hidden and weight, in float64."""
    doubled = Inputs(
        **{name: getattr(x, name) for name in ("target", "mask")},
        **{
            name: getattr(x, name).detach().double()
            for name in ("old_logprob", "advantage", "token_weight")
        },
        hidden=x.hidden.detach().double().requires_grad_(),
        weight=x.weight.detach().double().requires_grad_(),
    )
    step(lambda x: ours(x, reference.grpo_loss), doubled)
    assert doubled.hidden.grad is not None and doubled.weight.grad is not None
    return [doubled.hidden.grad, doubled.weight.grad]


def errors(
    rival: Callable[[Inputs], Tensor], x: Inputs, exact: list[Tensor]
) -> tuple[float, float, bool]:
    """Largest error of both gradients, in units of the largest gradient; and whether a second run
    is bitwise the same."""
    first = step(rival, x).clone()
    assert x.hidden.grad is not None and x.weight.grad is not None
    found = [x.hidden.grad.clone(), x.weight.grad.clone()]
    second = step(rival, x)
    repeats = torch.equal(first, second) and torch.equal(found[1], x.weight.grad)
    worst = [
        float((mine.double() - wanted).abs().max() / wanted.abs().max())
        for mine, wanted in zip(found, exact, strict=True)
    ]
    return worst[0], worst[1], repeats


def peak_mib(config: KernelsConfig, name: str, rows: int, density: float) -> float:
    """Peak memory above the inputs, gradients included, in a process of its own."""
    command = [sys.executable, __file__, "--memory-of", name, "--rows", str(rows)]
    command += ["--density", str(density), "--vocabulary", str(config.vocabulary)]
    command += ["--width", str(config.width)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.strip().splitlines()[-1])


def print_memory(config: KernelsConfig) -> None:
    width = head_width(config)
    rival = rivals()[config.memory_of]
    # A small case first: what is compiled or loaded once is no memory of the loss.
    step(rival, make_inputs(256, 16, 512, 1.0))
    x = make_inputs(config.rows[0], width, config.vocabulary, config.density[0])
    if x.hidden.is_cuda:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step(rival, x)
        print((torch.cuda.max_memory_allocated() - before) / 2**20)
        return
    # Not getrusage: its peak is inherited from the process that started this one.
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    step(rival, x)
    print((_status("VmHWM") - before) / 1024)


def _status(field: str) -> int:
    """A line of /proc/self/status, in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def head_width(config: KernelsConfig) -> int:
    return config.width or (3584 if torch.cuda.is_available() else 256)


def measure(config: KernelsConfig, rows: int, density: float) -> list[dict[str, str]]:
    """One row a rival, ratios to ours and to the floor."""
    x = make_inputs(rows, head_width(config), config.vocabulary, density)
    entrants = rivals()
    seconds: dict[str, list[float]] = {name: [] for name in (*entrants, "floor")}
    for rival in entrants.values():
        step(rival, x)
    for _ in range(config.rounds):
        for name, rival in entrants.items():
            clock = time.perf_counter()
            step(rival, x)
            seconds[name].append(time.perf_counter() - clock)
        clock = time.perf_counter()
        floor(x)
        seconds["floor"].append(time.perf_counter() - clock)
    lowest = statistics.median(seconds["floor"])
    exact = exact_gradients(x)
    table = []
    for name, rival in entrants.items():
        low, middle, high = statistics.quantiles(seconds[name], n=4)
        wrong_hidden, wrong_weight, repeats = errors(rival, x, exact)
        table.append(
            {
                "rows": str(rows),
                "in mask": f"{100 * density:.0f} %",
                "loss": name,
                "seconds": f"{middle:.2f} [{low:.2f}, {high:.2f}]",
                "x floor": f"{middle / lowest:.2f}",
                "peak MiB": f"{peak_mib(config, name, rows, density):.0f}",
                "d hidden": f"{wrong_hidden:.1e}",
                "d weight": f"{wrong_weight:.1e}",
                "repeats": "bitwise" if repeats else "no",
            }
        )
        print_line("  ".join(table[-1].values()))
    return table


def main(config: KernelsConfig) -> None:
    """All shapes, then one table."""
    if config.memory_of:
        print_memory(config)
        return
    rows = [
        row
        for count in config.rows
        for density in config.density
        for row in measure(config, count, density)
    ]
    print_table(f"V = {config.vocabulary}, H = {head_width(config)}", rows)
    config.output.parent.mkdir(parents=True, exist_ok=True)
    write_text(config.output, json.dumps(rows, indent=2))
    print_line(str(config.output))


if __name__ == "__main__":
    main(tyro.cli(KernelsConfig))
