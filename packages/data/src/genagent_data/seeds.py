"""Seeds that follow from other seeds, the same on every machine and in any order of work."""

import hashlib


def derive_seed(*parts: int | str) -> int:
    """A seed of 31 bits from numbers and words, such as ``derive_seed(7, "tool", 2)``."""
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
