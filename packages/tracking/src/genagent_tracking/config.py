"""A run's configuration as MLflow parameters and as JSON that gives the same configuration back.

Types are pydantic's strict reading of the dataclass. An enum member is its value. Infinity and NaN
stand bare, as in Python's own JSON: quoted, they would stay text in a union that takes text.
"""

import dataclasses
import json
import re
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

Config = TypeVar("Config")

MAX_PARAMETER = 6000
"""Characters of a parameter's value that MLflow keeps."""
MAX_NAME = 250
"""Characters of a parameter's name that MLflow takes."""

_MESSAGES = {
    "missing": "{name} is missing; give it a value",
    "unexpected_keyword_argument": "{name} is no known field; take it out",
    "value_error": "{name}: {wanted}",
}


def config_to_json(config: object) -> str:
    """The configuration as indented JSON.

    Raises:
        ValueError: not a dataclass, or a field holds what its annotation does not allow.
    """
    return json.dumps(_plain(config), indent=2, ensure_ascii=False)


def config_from_json(config_type: type[Config], text: str) -> Config:
    """The configuration that ``config_to_json`` wrote; fields left out take their defaults.

    A union of dataclasses whose ``kind`` is left out is the first of them that fits.

    Raises:
        ValueError: not JSON, an unknown or missing field, a value of another type or one that its
            dataclass refuses; the message names the field.
    """
    try:
        values = [json.loads(text)]
    except json.JSONDecodeError as error:
        raise ValueError(f"the configuration is not JSON: {error}") from error
    except RecursionError as error:
        raise ValueError("the configuration is nested too deep to be one") from error
    try:
        return _adapter(config_type).validate_json(json.dumps(values))[0]
    except ValidationError as error:
        raise ValueError(_explain(error, values)) from error


def flatten_config(config: object) -> dict[str, str]:
    """The configuration's leaves under dotted names: ``{"grpo.group_size": "8"}``.

    A tuple of plain values is one leaf, ``[1, 2]``; one that holds dataclasses is numbered,
    ``stages.0.steps``. A value longer than MLflow keeps ends in a note of its full length.

    Raises:
        ValueError: as ``config_to_json``, or a mapping's key that MLflow does not take in a name.
    """
    flat: dict[str, str] = {}
    _flatten(_plain(config), "", flat)
    return flat


def _plain(config: object) -> object:
    if not dataclasses.is_dataclass(config) or isinstance(config, type):
        raise ValueError(f"{config!r:.80} is no configuration; pass a dataclass")
    adapter = _adapter(type(config))
    try:
        return adapter.dump_python(adapter.validate_python((config,)), mode="json")[0]
    except ValidationError as error:
        raise ValueError(_explain(error, (config,))) from error


def _adapter(config_type: type[Config]) -> TypeAdapter[tuple[Config]]:
    # Pydantic takes no settings for a dataclass that is not its own, but hands a tuple's down.
    settings = ConfigDict(
        strict=True, extra="forbid", revalidate_instances="always", ser_json_inf_nan="constants"
    )
    return TypeAdapter(tuple[config_type], config=settings)  # pyright: ignore[reportInvalidTypeForm]


def _explain(error: ValidationError, values: object) -> str:
    """One line on one field at fault; a union's members of another ``kind`` have no say."""
    problems = error.errors(include_url=False)
    kinds = [p for p in problems if p["type"] == "literal_error" and p["loc"][-1] == "kind"]
    others = [p["loc"][:-1] for p in kinds]
    meant = [p for p in problems if not any(p["loc"][: len(o)] == o for o in others)]
    meant = meant or sorted(kinds, key=lambda p: -len(p["loc"]))
    first, path = meant[0], _path(values, meant[0]["loc"])
    same = [p["msg"] for p in meant if _path(values, p["loc"]) == path]
    if first["type"] == "missing":
        path.append(first["loc"][-1])
    wanted = [re.sub("^(Input should be|Tuple should have|Value error,) ", "", m) for m in same]
    return _MESSAGES.get(first["type"], "{name} is {value!r:.80}; wants {wanted}").format(
        name=".".join(map(str, ("config", *path[1:]))),
        value=first["input"],
        wanted=" or ".join(dict.fromkeys(wanted)),
    )


def _path(value: Any, location: tuple[int | str, ...]) -> list[int | str]:
    """The keys that lead into the value, without the names of a union's members among them."""
    path = []
    for key in location:
        try:
            value = getattr(value, str(key)) if dataclasses.is_dataclass(value) else value[key]
        except (AttributeError, LookupError, TypeError):
            continue
        path.append(key)
    return path


def _flatten(value: object, name: str, flat: dict[str, str]) -> None:
    if isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value):
        value = {str(index): item for index, item in enumerate(value)}
    if isinstance(value, dict) and value:
        for key, item in value.items():
            _flatten(item, f"{name}.{key}" if name else key, flat)
        return
    if not re.fullmatch(r"[/\w.\- :]+", name) or len(name) > MAX_NAME:
        raise ValueError(
            f"{name[:80]!r} is no name of a parameter; MLflow takes letters, digits, spaces and "
            f"/_.-: and at most {MAX_NAME} of them"
        )
    is_json = isinstance(value, (dict, list))
    text = json.dumps(value, ensure_ascii=False) if is_json else str(value)
    note = f" … (cut; {len(text)} characters, whole in config.json)"
    is_long = len(text) > MAX_PARAMETER
    flat[name] = text[: MAX_PARAMETER - len(note)] + note if is_long else text
