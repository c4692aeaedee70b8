"""Every kernel compiled for GPUs that need not be there: registers, spills, shared memory.

    uv run python -m genagent_kernels.gpu.compile_report

Triton compiles ahead of time for a named architecture, and the assembler it ships reports what a
kernel needs. A spill is a register that did not fit and went to memory, in the innermost loop more
often than not, so there must be none.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import triton
from triton import knobs
from triton.backends.compiler import GPUTarget
from triton.backends.nvidia.compiler import get_ptxas
from triton.compiler import ASTSource

from genagent_kernels.gpu import head_gradient, head_logprob, mrope, paged_attention, ratio, sampler

ARCHITECTURES = (80, 90)
"""A100 and H100 or H200."""

UNIT_STRIDES = ("stride_hidden_width", "stride_weight_width", "stride_position")
"""The launcher compiles an integer of value 1 in; for contiguous tensors these are 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CompiledKernel:
    """What one kernel needs on one architecture."""

    name: str
    architecture: int
    registers: int
    """A thread."""
    spilled_bytes: int
    """Stored to memory, a thread, for want of a register."""
    shared_bytes: int
    """A program."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """A kernel as it is launched for Qwen2.5-VL-7B, or Qwen3-VL-8B, in bfloat16."""

    name: str
    kernel: Any
    constants: dict[str, Any]
    pointers: dict[str, str]
    """Element types of the pointer arguments; every other argument is an integer."""
    loose: tuple[str, ...] = ()
    """Integers that are no multiple of 16; of the others Triton's launcher would say they are."""
    num_warps: int = 4
    num_stages: int = 3


def variants(architecture: int) -> Iterator[Variant]:
    """Each kernel once a dtype or option that changes its code."""
    partials = {name: "fp32" for name in ("maxima", "sums", "moments", "targets")}
    for dtype, name in ((torch.bfloat16, "bf16"), (torch.float32, "fp32")):
        blocks = head_logprob.launch_blocks(dtype, architecture)
        for with_entropy in (False, True):
            yield Variant(
                name=f"logprob_spans {name}{' entropy' * with_entropy}",
                kernel=head_logprob.logprob_spans,
                constants={
                    **{key: size for key, size in blocks.items() if key.isupper()},
                    "TEMPERATURE": 1.0,
                    "SPAN": head_logprob.SPAN,
                    "WITH_ENTROPY": with_entropy,
                    "WIDEN": False,
                },
                pointers={"hidden": name, "weight": name, "target": "i64", **partials},
                loose=("rows",),
                num_warps=blocks["num_warps"],
                num_stages=blocks["num_stages"],
            )
    yield Variant(
        name="merge_spans",
        kernel=head_logprob.merge_spans,
        constants={"BLOCK_ROWS": 128, "WITH_ENTROPY": True},
        pointers=partials | {key: "fp32" for key in ("logprob", "normalizer", "entropy")},
        loose=("rows", "spans"),
    )
    row_results = ("old_logprob", "advantage", "token_weight", "logprob", "entropy", "loss")
    for with_dual_clip in (False, True):
        yield Variant(
            name=f"grpo_rows bf16{' dual clip' * with_dual_clip}",
            kernel=head_gradient.grpo_rows,
            constants={
                "CLIP_LOW": 0.2,
                "CLIP_HIGH": 0.2,
                "DUAL_CLIP": 3.0,
                "TEMPERATURE": 1.0,
                "BLOCK": head_gradient.GPU_BLOCK["BLOCK"],
                "WITH_GRADIENT": True,
                "WITH_DUAL_CLIP": with_dual_clip,
            },
            pointers={
                "logits": "fp32",
                "gradient": "bf16",
                "target": "i64",
                "is_effective": "i8",
                **{key: "fp32" for key in row_results},
            },
            num_warps=head_gradient.GPU_BLOCK["num_warps"],
        )
    yield Variant(
        name="logprob_rows bf16 entropy",
        kernel=head_gradient.logprob_rows,
        constants={
            "TEMPERATURE": 1.0,
            "BLOCK": head_gradient.GPU_BLOCK["BLOCK"],
            "WITH_ENTROPY": True,
        },
        pointers={
            "logits": "fp32",
            "gradient": "bf16",
            "target": "i64",
            **{key: "fp32" for key in ("normalizer", "entropy", "slope", "entropy_slope")},
        },
        num_warps=head_gradient.GPU_BLOCK["num_warps"],
    )
    yield Variant(
        name="ratio_rows",
        kernel=ratio.ratio_rows,
        constants={
            "CLIP_LOW": 0.2,
            "CLIP_HIGH": 0.2,
            "TRUNCATE_AT": 2.0,
            "BLOCK": ratio.GPU_BLOCK["BLOCK"],
            "WITH_WEIGHT": True,
        },
        pointers={
            "mask": "i1",
            "tokens": "i64",
            **{
                key: "fp32"
                for key in ("logprob", "old_logprob", "ratio", "importance_weight", "statistics")
            },
        },
        num_warps=ratio.GPU_BLOCK["num_warps"],
        loose=("rows",),
    )
    yield Variant(
        name="attend_spans bf16",
        kernel=paged_attention.attend_spans,
        constants={
            "SCALE": 128**-0.5,
            "GROUP": 7,
            "PAGE_SIZE": 16,
            "SPAN": paged_attention.SPAN,
            "BLOCK_HEADS": 16,
            "BLOCK_KEYS": paged_attention.GPU_BLOCK_KEYS,
            "BLOCK_WIDTH": 128,
            "WIDEN": False,
        },
        pointers={
            **{key: "bf16" for key in ("query", "key_pages", "value_pages")},
            **{key: "i32" for key in ("page_table", "lengths")},
            "outputs": "fp32",
            "normalizers": "fp32",
        },
        loose=("stride_table",),
    )
    yield Variant(
        name="merge_attention bf16",
        kernel=paged_attention.merge_attention,
        constants={"BLOCK_WIDTH": 128},
        pointers={"outputs": "fp32", "normalizers": "fp32", "result": "bf16"},
        loose=("spans",),
    )
    yield Variant(
        name="write_tokens bf16",
        kernel=paged_attention.write_tokens,
        constants={"BLOCK": 512},
        pointers={
            "slots": "i64",
            **{key: "bf16" for key in ("key", "value", "key_pages", "value_pages")},
        },
    )
    for name, interleaved, sections in (
        ("rotate_tokens bf16", False, (16, 24, 24)),
        ("rotate_tokens interleaved bf16", True, (24, 20, 20)),
    ):
        yield Variant(
            name=name,
            kernel=mrope.rotate_tokens,
            constants={
                **dict(zip(("FIRST", "SECOND", "THIRD"), sections, strict=True)),
                **{"HALF": 64, "INTERLEAVED": interleaved, "BLOCK": 64},
            },
            pointers={
                "positions": "i64",
                "inverse_frequencies": "fp32",
                **{key: "bf16" for key in ("query", "key", "query_result", "key_result")},
            },
            loose=("query_heads", "key_heads", "stride_axis"),
        )
    yield Variant(
        name="sample_rows fp32",
        kernel=sampler.sample_rows,
        constants={"TEMPERATURE": 1.0, "BLOCK": sampler.GPU_BLOCK["BLOCK"]},
        pointers={
            "logits": "fp32",
            "seeds": "i64",
            "draws": "i64",
            "tokens": "i64",
            "logprobs": "fp32",
        },
        num_warps=sampler.GPU_BLOCK["num_warps"],
    )


def compile_kernel(variant: Variant, architecture: int) -> CompiledKernel:
    """Compile for ``architecture`` (90 for sm_90), with every pointer aligned to 16 bytes.

    Raises:
        RuntimeError: under the interpreter, where kernels are not compiled.
    """
    if knobs.runtime.interpret:
        raise RuntimeError("TRITON_INTERPRET is set; unset it to compile kernels")
    signature = {}
    aligned = {}
    for index, name in enumerate(variant.kernel.arg_names):
        if name in variant.constants:
            signature[name] = "constexpr"
        elif name in variant.pointers:
            signature[name] = f"*{variant.pointers[name]}"
        elif name in UNIT_STRIDES:
            signature[name] = "constexpr"
        else:
            signature[name] = "i32"
        if signature[name] != "constexpr" and name not in variant.loose:
            aligned[(index,)] = [["tt.divisibility", 16]]
    constants = {name: 1 for name in variant.kernel.arg_names if name in UNIT_STRIDES}
    source = ASTSource(
        fn=variant.kernel,
        signature=signature,
        constexprs=constants | variant.constants,
        attrs=aligned,
    )
    compiled = triton.compile(
        source,
        target=GPUTarget("cuda", architecture, 32),
        options={"num_warps": variant.num_warps, "num_stages": variant.num_stages},
    )
    report = _assemble(compiled.asm["ptx"], architecture)
    spilled = sum(int(count) for count in re.findall(r"(\d+) bytes spill stores", report))
    registers = re.search(r"Used (\d+) registers", report)
    assert registers is not None, report
    return CompiledKernel(
        name=variant.name,
        architecture=architecture,
        registers=int(registers[1]),
        spilled_bytes=spilled,
        shared_bytes=compiled.metadata.shared,
    )


def _assemble(ptx: str, architecture: int) -> str:
    """What the assembler, called as Triton calls it, says of a kernel's resources."""
    target = re.search(r"^\.target (\w+)", ptx, re.MULTILINE)
    assert target is not None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.ptx"
        path.write_text(ptx)
        options = ["-v", "-lineinfo", "--regAllocOptLevel=2", f"--gpu-name={target[1]}"]
        done = subprocess.run(
            [get_ptxas(architecture).path, *options, str(path), "-o", f"{path}.cubin"],
            capture_output=True,
            text=True,
        )
    if done.returncode:
        raise RuntimeError(f"ptxas refuses the kernel: {done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def main() -> int:
    """Print the table; 1 if a register spilled."""
    print(f"{'kernel':32}{'sm':>4}{'registers':>11}{'spilled, B':>12}{'shared, KiB':>13}")
    spilled = 0
    for architecture in ARCHITECTURES:
        for variant in variants(architecture):
            found = compile_kernel(variant, architecture)
            spilled += found.spilled_bytes
            print(
                f"{found.name:32}{found.architecture:>4}{found.registers:>11}"
                f"{found.spilled_bytes:>12}{found.shared_bytes / 1024:>13.1f}",
                flush=True,
            )
    return int(spilled > 0)


if __name__ == "__main__":
    sys.exit(main())
