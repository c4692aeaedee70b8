"""Whether a ``.safetensors`` file is whole, by its header: eight bytes of its length, JSON, bytes.

The format: https://huggingface.co/docs/safetensors. The library says the same of most of it, but of
some only when a tensor is read, minutes later and without the file's name.
"""

import json
from pathlib import Path

from genagent_weights.failure import WeightsError

MAX_HEADER = 100_000_000
"""Bytes, as the library has it."""

_LFS = b"version https://git-lfs"


def check_tensors(file: Path) -> None:
    """Raises WeightsError where it is no whole file of tensors, or cannot be read."""
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            start = stream.read(8)
            length = int.from_bytes(start, "little")
            if start == _LFS[:8]:
                raise ValueError("a pointer of Git LFS and no weights; fetch it with git lfs pull")
            if len(start) < 8 or length > min(MAX_HEADER, size - 8):
                raise ValueError("cut off or no safetensors at all")
            header = json.loads(stream.read(length))
        ends = [
            entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"
        ]
        wanted = 8 + length + max(ends, default=0)
        if wanted != size:
            raise ValueError(f"has {size} bytes of {wanted}; copy it again")
    except OSError as error:
        raise WeightsError(f"{file}: cannot be read ({error.strerror})") from error
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(f"{file}: {error}") from error
