"""What servers of one protocol call the same things.

Sources: OpenAI's images API; vLLM-Omni ``entrypoints/openai/protocol/images.py``; SGLang
``multimodal_gen/runtime/entrypoints/openai/protocol.py``.
"""

import json
from collections.abc import Mapping
from typing import Any, Literal, cast

from genagent_tools.tool import DrawSettings

Dialect = Literal["genagent", "openai", "vllm-omni", "sglang"]

_EXTENSIONS = frozenset(
    ("seed", "negative_prompt", "num_inference_steps", "guidance_scale", "true_cfg_scale")
)

_ALWAYS_BASE64 = ("gpt-image", "chatgpt-image")
"""OpenAI's models that answer with the picture itself, and refuse to be told so (400)."""

DIALECTS: Mapping[Dialect, frozenset[str]] = {
    "genagent": _EXTENSIONS,
    # Knows no seed: the same prompt does not give the same picture twice.
    "openai": frozenset(),
    "vllm-omni": _EXTENSIONS,
    # Draws 1024 for a seed in older builds if none is sent, and answers with a URL if not told not
    # to; width and height go beside size, which older builds read instead.
    "sglang": _EXTENSIONS | {"width", "height"},
}
"""Fields beyond OpenAI's own that may be sent."""


def request_body(
    dialect: Dialect,
    prompt: str,
    seed: int,
    settings: DrawSettings,
    *,
    model: str | None = None,
    true_cfg: float | None = None,
    extra: Mapping[str, object] | None = None,
) -> dict[str, object]:
    """The JSON body that asks for one picture; what is None is left to the server."""
    sided = settings.width is not None and settings.height is not None
    optional = {
        "model": model,
        "size": f"{settings.width}x{settings.height}" if sided else None,
        "seed": seed if "seed" in DIALECTS[dialect] else None,
        "width": settings.width if "width" in DIALECTS[dialect] else None,
        "height": settings.height if "height" in DIALECTS[dialect] else None,
        "negative_prompt": settings.negative_prompt,
        "num_inference_steps": settings.steps,
        "guidance_scale": settings.guidance,
        "true_cfg_scale": true_cfg,
    }
    body: dict[str, object] = {"prompt": prompt, "n": 1}
    if not (dialect == "openai" and (model or "").startswith(_ALWAYS_BASE64)):
        body["response_format"] = "b64_json"
    body |= {name: value for name, value in optional.items() if value is not None}
    return body | dict(extra or {})


def unknown_fields(
    dialect: Dialect, settings: DrawSettings, *, true_cfg: float | None = None
) -> list[str]:
    """Fields that these settings need and the dialect lacks."""
    needed = {
        "negative_prompt": settings.negative_prompt,
        "num_inference_steps": settings.steps,
        "guidance_scale": settings.guidance,
        "true_cfg_scale": true_cfg,
    }
    return [
        name
        for name, value in needed.items()
        if value is not None and name not in DIALECTS[dialect]
    ]


def words_read(models: object, model: str | None) -> int | None:
    """Words of a prompt that a model reads, from the answer of ``GET /v1/models``.

    Args:
        models: decoded JSON.
        model: its name; None is the first one.

    Returns:
        None where the answer does not say; ``words`` is an extension of our own server's.
    """
    words = _entry(models, model).get("words")
    return words if type(words) is int and words > 0 else None


def model_served(models: object, model: str | None) -> str | None:
    """A model's name, how it draws unasked and with what, from the same answer; None where it does
    not say."""
    entry = _entry(models, model)
    if "id" not in entry or "defaults" not in entry:
        return None
    with_what = f" {entry['drawn_with']}" if entry.get("drawn_with") else ""
    return f"{entry['id']} {json.dumps(entry['defaults'], sort_keys=True)}{with_what}"


def _entry(models: object, model: str | None) -> dict[str, Any]:
    """What is said of a model; nothing where it is not named."""
    try:
        entries = [entry for entry in cast(Any, models)["data"] if isinstance(entry, dict)]
    except (LookupError, TypeError):
        return {}
    return next((each for each in entries if model in (None, each.get("id"))), {})
