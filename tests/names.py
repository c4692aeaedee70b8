"""Names of tests that a person can read: what a case is called, and which names are refused.

A parametrized test is named after its values. One of them was a page of 500 kB, which then stood on
the terminal wherever the test did.
"""

import re
from collections.abc import Iterable

LONGEST = 80
"""Characters of a case's name, which stands in brackets behind the test's."""
_WORDS = 36
"""Characters of one value: two of them, and what joins them, are no longer than a name may be."""
_ESCAPED = r"\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|[nrt])"
"""What cannot be printed, as pytest writes it."""


def legible(value: object) -> str | None:
    """What a case is called after this value; None: what pytest calls it.

    Only words are renamed: their line breaks and what is not ASCII become ``_``, and of long ones
    the beginning stays. pytest numbers those that are then called alike.
    """
    if isinstance(value, re.Pattern):
        value = value.pattern
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    if not isinstance(value, str):
        return None
    seen = re.sub(f"(?:[^ -~]|{_ESCAPED})+", "_", value[:500])
    return seen if len(seen) <= _WORDS else f"{seen[: _WORDS - 3]}..."


def faults(names: Iterable[str]) -> list[str]:
    """A line for each test whose case has a name that nobody would read, and what to do."""
    return [line for name in names if (line := _fault(name))]


def _fault(name: str) -> str | None:
    test, _, case = name.partition("[")
    case = case.removesuffix("]")
    if len(case) > LONGEST:
        said = f"has {len(case)} characters; wants at most {LONGEST}"
    elif not case.isprintable() or re.search(_ESCAPED, case):
        said = "holds what cannot be printed"
    else:
        return None
    return f"{test}: the case {case[:_WORDS]!r} {said}: name it by pytest.param(..., id=...)"
