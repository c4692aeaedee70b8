"""Every kernel compiles for GPUs that are not here, and none of them spills a register."""

import os
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_every_kernel_compiles_for_a100_and_h100_without_spills(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "genagent_kernels.gpu.compile_report"],
        capture_output=True,
        text=True,
        # A process of its own: in this one kernels may be interpreted.
        env=os.environ | {"TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    _, *rows = done.stdout.strip().splitlines()
    figures = [row.rsplit(maxsplit=4) for row in rows]
    for architecture in ("80", "90"):
        spilled = {name.strip(): int(b) for name, sm, _, b, _ in figures if sm == architecture}
        assert len(spilled) == 15
        assert set(spilled.values()) == {0}, spilled
    assert all(0 < int(registers) <= 255 for _, _, registers, _, _ in figures)
