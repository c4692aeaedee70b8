"""What differs between the families of models that can be a policy: a file each.

Chat framing, M-RoPE positions and patches are the same for all of them. Nothing here loads torch
before a family is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genagent_policy.families.family import Family

SUPPORTED = ("qwen2_5_vl", "qwen3_vl")
"""The ``model_type`` of a checkpoint's config.json, which is also the name of its family's file."""


def family_of(model_type: object) -> "Family":
    """The family of checkpoints with that ``model_type``.

    Raises:
        ValueError: it is none that is supported.
    """
    check_model_type(model_type)
    return import_module(f"genagent_policy.families.{model_type}").FAMILY


def check_model_type(model_type: object) -> None:
    """Raises ValueError unless a family is supported."""
    if model_type not in SUPPORTED:
        known = " or ".join(map(repr, SUPPORTED))
        raise ValueError(f"architecture {model_type!r}; the policy wants a {known} checkpoint")
