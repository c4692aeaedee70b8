"""Which weights a folder holds, in twelve digits, wherever it lies."""

import hashlib
from pathlib import Path

_EDGE = 1 << 20
"""Bytes looked at from each end of a file of weights. An update moves all of them a little; reading
16 GB takes a minute."""


def fingerprint(weights: Path) -> str:
    """Over every file's name and size, the edges of weights, and all of the smaller files; what a
    download has left in hidden folders is none of them.

    Args:
        weights: a file, or a folder with all that lies below it.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    root = weights if weights.is_dir() else weights.parent
    found = root.rglob("*") if weights.is_dir() else [weights]
    for path in sorted(path for path in found if path.is_file() or path == weights):
        name = path.relative_to(root)
        if any(part.startswith(".") for part in name.parent.parts):
            continue
        size = path.stat().st_size
        digest.update(f"{name.as_posix()} {size}\n".encode())
        with path.open("rb") as file:
            digest.update(file.read(_EDGE))
            if size > _EDGE:
                file.seek(max(_EDGE, size - _EDGE))
                digest.update(file.read(_EDGE))
    return digest.hexdigest()[:12]
