"""What figures were computed on."""

import platform
from pathlib import Path


def processor() -> str:
    """As far as rounding depends on it: other vector units add numbers in another order, and the
    default run then learns another policy.

    Example: ``"x86_64, AVX2"``
    """
    flags: set[str] = set()
    known = Path("/proc/cpuinfo")
    if known.exists():
        lines = known.read_text(encoding="utf-8", errors="replace").splitlines()
        flags = next((set(line.split()) for line in lines if line.startswith("flags")), set())
    units = (("avx512f", "AVX-512"), ("avx2", "AVX2"))
    return ", ".join([platform.machine(), *(name for flag, name in units if flag in flags)][:2])
