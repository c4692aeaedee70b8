"""A run's configuration as MLflow parameters and as JSON that gives the same configuration back.

JSON holds what dataclasses are made of: nested dataclasses and mappings become objects, tuples and
lists become arrays, an enum member its name, a path its text, a float that JSON lacks ``"inf"``,
``"-inf"`` or ``"nan"``. Types are not written; they are read from the dataclass's annotations.
"""

import dataclasses
import enum
import json
import math
import re
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeVar, Union

Config = TypeVar("Config")

MAX_PARAMETER = 6000
"""Characters of a parameter's value that MLflow keeps."""

MAX_NAME = 250
"""Characters of a parameter's name that MLflow takes."""

_NAME = re.compile(r"[/\w.\- :]+")
_NON_FINITE = ("inf", "-inf", "nan")
_SCALARS = (bool, int, float, str, type(None))


def config_to_json(config: object) -> str:
    """The configuration as indented JSON.

    Raises:
        ValueError: not a dataclass, or it holds a value that JSON cannot give back.
    """
    _check_dataclass(config)
    return json.dumps(_encode(config, "config"), indent=2, ensure_ascii=False, allow_nan=False)


def config_from_json(config_type: type[Config], text: str) -> Config:
    """The configuration that ``config_to_json`` wrote; fields left out take their defaults.

    Raises:
        ValueError: not JSON, an unknown or missing field, or a value of another type; the message
            names the field.
    """
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"the configuration is not JSON: {error.msg} in line {error.lineno}"
        ) from error
    return typing.cast(Config, _decode(config_type, value, "config"))


def flatten_config(config: object) -> dict[str, str]:
    """The configuration's leaves under dotted names: ``{"grpo.group_size": "8"}``.

    A tuple of plain values is one leaf, ``[1, 2]``; one that holds dataclasses is numbered,
    ``stages.0.steps``. A value longer than MLflow keeps ends in a note of its full length.

    Raises:
        ValueError: as ``config_to_json``, or a mapping's key that MLflow does not take in a name.
    """
    _check_dataclass(config)
    flat: dict[str, str] = {}
    _flatten(_encode(config, "config"), "", flat)
    return flat


def _check_dataclass(config: object) -> None:
    if not dataclasses.is_dataclass(config) or isinstance(config, type):
        raise ValueError(f"{config!r:.80} is no configuration; pass a dataclass")


def _encode(value: object, where: str) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: _encode(getattr(value, field.name), f"{where}.{field.name}")
            for field in dataclasses.fields(value)
            if field.init
        }
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, _SCALARS):
        return value
    if isinstance(value, (tuple, list)):
        return [_encode(item, f"{where}.{index}") for index, item in enumerate(value)]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _encode(item, f"{where}.{key}") for key, item in value.items()}
    raise ValueError(
        f"{where} holds {value!r:.80} of type {type(value).__name__}, which JSON does not give "
        "back; use plain values, paths, enums, tuples and dataclasses"
    )


def _flatten(value: object, name: str, flat: dict[str, str]) -> None:
    if isinstance(value, dict) and value:
        items = list(value.items())
    elif isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value):
        items = [(str(index), item) for index, item in enumerate(value)]
    else:
        if not _NAME.fullmatch(name) or len(name) > MAX_NAME:
            raise ValueError(
                f"{name[:80]!r} is no name of a parameter; MLflow takes letters, digits, spaces "
                f"and /_.-: and at most {MAX_NAME} of them"
            )
        flat[name] = _shorten(_text(value))
        return
    for key, item in items:
        _flatten(item, f"{name}.{key}" if name else key, flat)


def _text(value: object) -> str:
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _shorten(text: str) -> str:
    if len(text) <= MAX_PARAMETER:
        return text
    note = f" … (cut; {len(text)} characters, whole in config.json)"
    return text[: MAX_PARAMETER - len(note)] + note


def _decode(hint: object, value: object, where: str) -> object:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _decode(arguments[0], value, where)
    if origin in (Union, types.UnionType):
        return _decode_union(arguments, value, where)
    if origin is Literal:
        if not any(value == known and type(value) is type(known) for known in arguments):
            raise ValueError(f"{where} is {value!r}; known: {', '.join(map(str, arguments))}")
        return value
    if origin in (tuple, list):
        return _decode_sequence(origin, arguments, value, where)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(value, dict):
            raise ValueError(f"{where} is {value!r:.80}; wants an object")
        return {key: _decode(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return _decode_dataclass(hint, value, where)
    return _decode_leaf(hint, value, where)


def _decode_dataclass(config_type: type, value: object, where: str) -> object:
    if not isinstance(value, dict):
        raise ValueError(f"{where} is {value!r:.80}; wants an object with its fields")
    hints = typing.get_type_hints(config_type, include_extras=True)
    fields = {field.name: field for field in dataclasses.fields(config_type) if field.init}
    for name in value:
        if name not in fields:
            raise ValueError(f"{where} has no field {name!r}; known: {', '.join(fields)}")
    for name, field in fields.items():
        has_default = (field.default, field.default_factory) != (dataclasses.MISSING,) * 2
        if name not in value and not has_default:
            raise ValueError(f"{where}.{name} is missing; give it a value")
    return config_type(
        **{name: _decode(hints[name], item, f"{where}.{name}") for name, item in value.items()}
    )


def _decode_sequence(
    origin: type, arguments: tuple[object, ...], value: object, where: str
) -> object:
    if not isinstance(value, list):
        raise ValueError(f"{where} is {value!r:.80}; wants an array")
    if origin is list or (len(arguments) == 2 and arguments[1] is Ellipsis):
        hints = [arguments[0]] * len(value)
    else:
        hints = [] if arguments == ((),) else list(arguments)
    if len(hints) != len(value):
        raise ValueError(f"{where} has {len(value)} items; wants {len(hints)}")
    pairs = enumerate(zip(hints, value, strict=True))
    return origin(_decode(hint, item, f"{where}.{index}") for index, (hint, item) in pairs)


def _decode_union(arguments: tuple[object, ...], value: object, where: str) -> object:
    """The first member that takes the value; one of the value's own type or fields goes first."""
    exact = [hint for hint in arguments if hint is type(value) or _has_fields(hint, value)]
    if len(exact) > 1:
        raise ValueError(f"{where} fits each of {exact}; give their fields different names")
    problems = []
    for hint in exact or arguments:
        try:
            return _decode(hint, value, where)
        except ValueError as error:
            problems.append(str(error))
    raise ValueError(min(problems, key=len) if value is not None else f"{where} may not be null")


def _has_fields(hint: object, value: object) -> bool:
    if not (isinstance(hint, type) and dataclasses.is_dataclass(hint) and isinstance(value, dict)):
        return False
    return {field.name for field in dataclasses.fields(hint) if field.init} == set(value)


def _decode_leaf(hint: object, value: object, where: str) -> object:
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if hint is float and value in _NON_FINITE:
        return float(str(value))
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        if not isinstance(value, str) or value not in hint.__members__:
            raise ValueError(f"{where} is {value!r}; known: {', '.join(hint.__members__)}")
        return hint[value]
    if isinstance(hint, type) and issubclass(hint, Path) and isinstance(value, str):
        return Path(value)
    wanted = type(None) if hint is None else hint
    if wanted in _SCALARS and type(value) is wanted:
        return value
    raise ValueError(f"{where} is {value!r:.80}; wants {getattr(wanted, '__name__', wanted)}")
