"""Whether a folder holds what was once written there: ``checksums.json`` in it says what that was.

{"policy/config.json": {"bytes": 2041, "sha256": "5f…"}, "optimizer.pt": {…}, …}
"""

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from genagent_data import write_text

CHECKSUMS = "checksums.json"
_THREADS = 4
"""Files hashed at a time; a core does 1 to 2 GB/s of SHA-256, about what a disk reads."""


def write_checksums(folder: Path) -> None:
    """Write down what the folder holds by now. Raises OSError where that cannot be done."""
    names = [path.relative_to(folder).as_posix() for path in _files(folder)]
    with ThreadPoolExecutor(_THREADS) as threads:
        digests = list(threads.map(lambda name: _sha256(folder / name), names))
    known = {
        name: {"bytes": (folder / name).stat().st_size, "sha256": digest}
        for name, digest in zip(names, digests, strict=True)
    }
    write_text(folder / CHECKSUMS, json.dumps(known, indent=1))


def damage(folder: Path) -> str | None:
    """What is not as it was written, the first thing found; None: all is. Sizes are looked at
    before contents, which take a second for every one or two GB."""
    try:
        known = _known(json.loads((folder / CHECKSUMS).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return f"it has no {CHECKSUMS}"
    except (OSError, ValueError, RecursionError) as error:
        return f"{CHECKSUMS} cannot be read: {error}"
    for name, (size, _) in known.items():
        try:
            found = (folder / name).stat().st_size
        except OSError as error:
            return f"{name}: {error.strerror}"
        if found != size:
            return f"{name} has {found:,} of {size:,} bytes"
    with ThreadPoolExecutor(_THREADS) as threads:
        digests = threads.map(lambda name: _readable_sha256(folder / name), known)
        for (name, (_, wanted)), digest in zip(known.items(), digests, strict=True):
            if digest != wanted:
                return f"{name} has other bytes than were written"
    return None


def _known(rows: Any) -> dict[str, tuple[int, str]]:
    """Size and digest by name. Raises ValueError where it says something else."""
    try:
        return {name: (row["bytes"], row["sha256"]) for name, row in rows.items()}
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError("it holds no sizes and digests") from error


def _files(folder: Path) -> list[Path]:
    return sorted(Path(below) / name for below, _, names in os.walk(folder) for name in names)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _readable_sha256(path: Path) -> str | None:
    """None where the disk does not give the file back."""
    try:
        return _sha256(path)
    except OSError:
        return None
