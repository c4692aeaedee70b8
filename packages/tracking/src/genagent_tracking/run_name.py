"""What a run is called: the options that differ from the preset's, and its folder's name.

Example: ``smoke, steps 8, grpo.learning-rate 0.0001 · rl_flux-20261129-091107``. Lists cut names,
and folders begin alike.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, get_type_hints

from genagent_tracking.config import config_to_json
from genagent_tracking.run_folder import config_leaves

_UNSAID = ("run.", "tracker.", "engine.urls", "out", "data")
"""What changes nothing that is learnt: where a run is kept and how much of it is shown. The seed is
said."""
_LONGEST_VALUE = 30
_LONGEST = 120
"""Characters; a list of runs shows no more of a name."""


def changed_options(document: object, presets: Mapping[str, object]) -> str:
    """The options in which a configuration differs from a preset, as on the command line: the one
    of the presets, and of equals the first, from which it differs least, so that a run from a
    ``config.json`` is named as the one that it repeats. The first preset is not named.

    Example: ``"smoke, steps 8, grpo.learning-rate 0.0001"``; nothing where nothing differs.
    """
    found = _leaves(document)
    differing = {name: _difference(found, _leaves(preset)) for name, preset in presets.items()}
    if not differing:
        return ""
    nearest = min(differing, key=lambda name: len(differing[name]))
    changes = differing[nearest]
    # steps before grpo.learning_rate before world.judge
    ordered = sorted(changes, key=lambda name: (name.count("."), list(found).index(name)))
    words = [f"{name.replace('_', '-')} {_said(changes[name])}" for name in ordered]
    parts = [*([nearest] if nearest != next(iter(presets)) else []), *words]
    said = ", ".join(parts)
    return said if len(said) <= _LONGEST else said[: _LONGEST - 2].rstrip(", ") + " …"


def run_name(folder: str, changes: str) -> str:
    """Example: ``run_name("rl_flux-20261129-091107", "steps 8")``"""
    return f"{changes} · {folder}" if changes else folder


def _leaves(config: object) -> dict[str, Any]:
    """By the names that the command line takes: a flat part's options have lost its prefix."""
    flat = tuple(_flat_parts(type(config)))
    found = config_leaves(json.loads(config_to_json(config)))
    return {
        name.split(".", 1)[1] if name.startswith(flat) else name: value
        for name, value in found.items()
        if name == "run.seed" or not name.startswith(_UNSAID)
    }


def _flat_parts(kind: type) -> Iterator[str]:
    """Prefixes that no option has, for their part is marked by ``Flat``."""
    for name, hint in get_type_hints(kind, include_extras=True).items():
        if any(getattr(mark, "name", None) == "" for mark in getattr(hint, "__metadata__", ())):
            yield f"{name}."


def _difference(found: dict[str, Any], preset: dict[str, Any]) -> dict[str, Any]:
    """What is other than there, or is not there. A part of another kind is named by its kind, and
    by what differs from nothing."""
    return {
        name: value
        for name, value in found.items()
        if value != preset.get(name) and value not in ([], {})
    }


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    text = " ".join(map(_said, value)) if isinstance(value, list) else str(value)
    if "/" in text and "://" not in text and len(text) > _LONGEST_VALUE:
        text = "…/" + text.rstrip("/").rsplit("/", 1)[-1]
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"
