"""How a tool call is written inside its ``<tool_call>`` element, and read strictly.

``hermes`` is what Qwen2.5, Qwen3 and Qwen3-VL have learnt, one JSON object::

    {"name": "generate_image", "arguments": {"prompt": "…"}}

``qwen3.5`` is what Qwen3.5 has learnt, tags of its own around a text that is not escaped::

    <function=generate_image>
    <parameter=prompt>
    …
    </parameter>
    </function>
"""

import json
import re
from typing import Literal

TOOL_NAME = "generate_image"

ToolSyntax = Literal["hermes", "qwen3.5"]

_TAG = re.compile(r"<function=|</function>|<parameter=|</parameter>")
_PARAMETER = rf"<parameter=([^<>\n]*)>\n((?:(?!\n</parameter>|{_TAG.pattern}).)*+)\n</parameter>"
_PARAMETERS = re.compile(_PARAMETER, re.DOTALL)
_FUNCTION = re.compile(
    rf"\s*<function=([^<>\n]*)>\s*((?:{_PARAMETER}\s*)*)</function>\s*", re.DOTALL
)


def write_call(prompt: str, syntax: ToolSyntax) -> str:
    """What stands in the element.

    Raises:
        ValueError: the syntax cannot hold that prompt.
    """
    if syntax == "hermes":
        return json.dumps({"name": TOOL_NAME, "arguments": {"prompt": prompt}}, ensure_ascii=False)
    if found := _TAG.search(prompt):
        raise ValueError(
            f"the tool prompt may not hold {found[0]!r} where calls are written as {syntax!r}; "
            "remove it"
        )
    return f"\n<function={TOOL_NAME}>\n<parameter=prompt>\n{prompt}\n</parameter>\n</function>\n"


def read_call(body: str, syntax: ToolSyntax) -> tuple[str | None, str | None]:
    """The prompt of a call, or ``invalid_json`` (the syntax's or not) or ``unknown_tool``."""
    found = _json_call(body) if syntax == "hermes" else _tagged_call(body)
    if found is None:
        return None, "invalid_json"
    name, arguments = found
    if name != TOOL_NAME:
        return None, "unknown_tool"
    if set(arguments) != {"prompt"} or not isinstance(arguments["prompt"], str):
        return None, "invalid_json"
    return arguments["prompt"], None


def _json_call(body: str) -> tuple[str, dict[str, object]] | None:
    try:
        call = json.loads(body, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    # Absurd nesting and absurd integers are as invalid as a missing bracket.
    except (ValueError, RecursionError):
        return None
    if not isinstance(call, dict) or set(call) != {"name", "arguments"}:
        return None
    name, arguments = call["name"], call["arguments"]
    if not isinstance(name, str) or not isinstance(arguments, dict):
        return None
    return name, arguments


def _tagged_call(body: str) -> tuple[str, dict[str, object]] | None:
    call = _FUNCTION.fullmatch(body)
    if call is None:
        return None
    try:
        return call[1], _unique([(name, text) for name, text in _PARAMETERS.findall(call[2])])
    except ValueError:
        return None


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError(f"a key twice in {[key for key, _ in pairs]}")
    return dict(pairs)


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")
