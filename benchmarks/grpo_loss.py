"""The fused GRPO loss against what else computes it, side by side in one run.

    uv run benchmarks/grpo_loss.py                   # CPU: a narrow head, Qwen2.5's vocabulary
    uv run benchmarks/grpo_loss.py --rows 512        # quicker
    uv run --with liger-kernel --with trl --with cut-cross-entropy --with verl \\
        benchmarks/grpo_loss.py

Each rival takes part if it can be imported. Times and memory are of forward and backward, with
gradients for hidden states and head: medians over rounds in which all take a turn, with the
quartiles, and the peak of a process of its own above its inputs. Errors are against float64: of
the gradients in units of the largest, of log-probs from inputs in bfloat16. A log-prob may depend
on how many rows are computed with it, and a second run may differ from the first: the last two
columns. "log-probs x product" is the time of log-probs alone over that of the one product they
need. On a GPU the same runs with Qwen2.5-VL-7B's head, and the floor is three bare products.
"""

import itertools
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from kernel_rivals import Inputs, Rival, make_inputs, ours, rivals
from torch import Tensor

from genagent_data import write_text
from genagent_kernels import reference
from genagent_tracking import parse, print_line, print_table, waiting


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
    output: Path = Path("runs/grpo_loss.json")
    memory_of: str = ""
    """Internal: measure one rival's memory in this process."""

    def __post_init__(self) -> None:
        if self.rounds < 2:
            raise ValueError(f"rounds is {self.rounds}; wants 2 or more, for there are quartiles")


def step(loss: Callable[[Inputs], Tensor], x: Inputs) -> Tensor:
    """Forward and backward, from no gradients."""
    x.hidden.grad = x.weight.grad = None
    value = loss(x)
    value.backward()
    if value.is_cuda:
        torch.cuda.synchronize()
    return value.detach()


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
    names = ("old_logprob", "advantage", "token_weight")
    doubled = replace(
        x.to(torch.float64), **{name: getattr(x, name).detach().double() for name in names}
    )
    step(lambda x: ours(x, reference.grpo_loss), doubled)
    assert doubled.hidden.grad is not None and doubled.weight.grad is not None
    return [doubled.hidden.grad, doubled.weight.grad]


def gradient_errors(rival: Rival, x: Inputs, exact: list[Tensor]) -> tuple[list[str], bool]:
    """Largest error of both gradients, in units of the largest gradient; and whether a second run
    is bitwise the same."""
    first = step(rival.loss, x).clone()
    assert x.hidden.grad is not None and x.weight.grad is not None
    found = [x.hidden.grad.clone(), x.weight.grad.clone()]
    second = step(rival.loss, x)
    repeats = torch.equal(first, second) and torch.equal(found[1], x.weight.grad)
    worst = [
        f"{float((mine.double() - wanted).abs().max() / wanted.abs().max()):.1e}"
        for mine, wanted in zip(found, exact, strict=True)
    ]
    return (worst if rival.is_grpo else ["-", "-"]), repeats


def logprob_check(rival: Rival, x: Inputs) -> tuple[str, str]:
    """Largest error of a log-prob from bfloat16 inputs, and whether the first rows' log-probs are
    bitwise the same without the others."""
    if rival.logprob is None:
        return "-", "-"
    halved = x.to(torch.bfloat16)
    with torch.no_grad():
        found = rival.logprob(halved.first(128))
        exact = reference.linear_logprob(
            halved.hidden[:128].double(), halved.weight.double(), halved.target[:128]
        )
        wrong = float((found.double() - exact.logprob).abs().max())
        alone, together = rival.logprob(x.first(100)), rival.logprob(x)
    return f"{wrong:.1e}", "bitwise" if torch.equal(alone, together[:100]) else "no"


def peak_mib(config: KernelsConfig, name: str, rows: int, density: float) -> float:
    """Peak memory above the inputs, gradients included, in a process of its own."""
    command = [sys.executable, __file__, "--memory-of", name, "--rows", str(rows)]
    command += ["--density", str(density), "--vocabulary", str(config.vocabulary)]
    command += ["--width", str(config.width)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.strip().splitlines()[-1])


def print_memory(config: KernelsConfig) -> None:
    width = head_width(config)
    loss = rivals()[config.memory_of].loss
    # A small case first: what is compiled or loaded once is no memory of the loss.
    step(loss, make_inputs(256, 16, 512, 1.0))
    x = make_inputs(config.rows[0], width, config.vocabulary, config.density[0])
    if x.hidden.is_cuda:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step(loss, x)
        print((torch.cuda.max_memory_allocated() - before) / 2**20)
        return
    # Not getrusage: its peak is inherited from the process that started this one.
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    step(loss, x)
    print((_status("VmHWM") - before) / 1024)


def _status(field: str) -> int:
    """A line of /proc/self/status, in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def head_width(config: KernelsConfig) -> int:
    return config.width or (3584 if torch.cuda.is_available() else 256)


def median_seconds(config: KernelsConfig, compute: Callable[[], Tensor]) -> float:
    """Of one call without gradients, over the rounds."""
    seconds = []
    with torch.no_grad():
        compute()
        for _ in range(config.rounds):
            clock = time.perf_counter()
            if compute().is_cuda:
                torch.cuda.synchronize()
            seconds.append(time.perf_counter() - clock)
    return statistics.median(seconds)


def measure(config: KernelsConfig, rows: int, density: float) -> list[dict[str, str]]:
    """One row a rival, ratios to ours and to the floor."""
    x = make_inputs(rows, head_width(config), config.vocabulary, density)
    entrants = rivals()
    seconds: dict[str, list[float]] = {name: [] for name in (*entrants, "floor")}
    for rival in entrants.values():
        step(rival.loss, x)
    for _ in range(config.rounds):
        for name, rival in entrants.items():
            clock = time.perf_counter()
            step(rival.loss, x)
            seconds[name].append(time.perf_counter() - clock)
        clock = time.perf_counter()
        floor(x)
        seconds["floor"].append(time.perf_counter() - clock)
    lowest = statistics.median(seconds["floor"])
    product = median_seconds(config, lambda: x.hidden @ x.weight.T)
    exact = exact_gradients(x)
    table = []
    for name, rival in entrants.items():
        low, middle, high = statistics.quantiles(seconds[name], n=4)
        (wrong_hidden, wrong_weight), repeats = gradient_errors(rival, x, exact)
        wrong_logprob, invariant = logprob_check(rival, x)
        alone = "-"
        if (logprob := rival.logprob) is not None:
            alone = f"{median_seconds(config, lambda f=logprob: f(x)) / product:.2f}"
        table.append(
            {
                "rows": str(rows),
                "in mask": f"{100 * density:.0f} %",
                "loss": name,
                "seconds": f"{middle:.2f} [{low:.2f}, {high:.2f}]",
                "x floor": f"{middle / lowest:.2f}",
                "peak MiB": f"{peak_mib(config, name, rows, density):.0f}",
                "d hidden": wrong_hidden,
                "d weight": wrong_weight,
                "log-probs x product": alone,
                "log-prob": wrong_logprob,
                "any N": invariant,
                "repeats": "bitwise" if repeats else "no",
            }
        )
        print_line(f"{rows} rows, {100 * density:.0f} % in the mask: {name}, median {middle:.2f} s")
    return table


def main(config: KernelsConfig) -> None:
    """All shapes, then one table."""
    if config.memory_of:
        print_memory(config)
        return
    rows = []
    for count, density in itertools.product(config.rows, config.density):
        with waiting(f"{count} rows, {100 * density:.0f} % in the mask"):
            rows.extend(measure(config, count, density))
    title = f"V = {config.vocabulary}, H = {head_width(config)}"
    print_table(title, rows, has_total=False, words=3)
    config.output.parent.mkdir(parents=True, exist_ok=True)
    write_text(config.output, json.dumps(rows, indent=2))
    print_line(str(config.output))


if __name__ == "__main__":
    main(parse(KernelsConfig, sys.argv[1:], prog="grpo_loss.py"))
