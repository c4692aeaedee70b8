"""What a folder's contents come from and its options only name, so that nothing else is mixed in.

made_with.json      {"policy": "5f0c…", "records": "81ab…"}
"""

import json
from collections.abc import Mapping
from pathlib import Path

from genagent_data import write_text

MADE_WITH = "made_with.json"


def note_made_with(folder: Path, names: Mapping[str, str | None], *, instead: str) -> None:
    """Note by name what the folder's contents come from. What is not known, None, may be anything.

    Args:
        names: what tells each from another, such as a digest of weights.
        instead: what can be done but to give the same again, for the error.

    Raises:
        ValueError: what is here came from another, or what was noted is damaged.
        OSError: it cannot be written.
    """
    path = folder / MADE_WITH
    before = _noted(path) if path.exists() else {}
    known = {name: now for name, now in names.items() if now is not None}
    for name, now in known.items():
        if before.get(name, now) != now:
            raise ValueError(
                f"{folder} was made with another {name} ({before[name]}, now {now}); give it that "
                f"again, or {instead}"
            )
    write_text(path, json.dumps(before | known, indent=2))


def _noted(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged ({error}); put it back, or remove it") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path} is damaged ({found!r:.80}); put it back, or remove it")
    return found
