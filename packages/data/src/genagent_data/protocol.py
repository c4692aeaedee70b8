"""The text of one agent turn: how it is written, and the strict reading of what a model sampled.

A turn is two or three elements and nothing else (white space between elements is let pass)::

    first picture   <think>…</think><tool_call>{"name": "generate_image", …}</tool_call>
    later, done     <judge>…</judge><answer>…</answer>
    later, again    <judge>…</judge><think>…</think><tool_call>…</tool_call>

The closing ``<|im_end|>`` is never part of the text. An element holds no tag of the protocol and no
special token of the chat. Text inside an element is kept to the letter, an empty one included; only
a tool prompt must say something.

That call is in the syntax that most models know; ``tool_syntax`` has another.

A turn with several faults gets the name of the first in ``FORMAT_ERRORS``: what the sampled tokens
may not hold, then whether the turn ended, then its one action, then what leads up to the action,
and the call's JSON last.
"""

import json
import re
from dataclasses import dataclass

from genagent_data.tool_syntax import TOOL_NAME, ToolSyntax, read_call, write_call
from genagent_tools import MAX_PROMPT

OBSERVATION = "<tool_response>\n<image>\n</tool_response>"
"""The user turn that shows the agent its picture; ``<image>`` stands for the picture."""


def system_message(*, words: int | None = None, syntax: ToolSyntax = "hermes") -> str:
    """System message of a conversation, with the tool's signature in a ``<tools>`` block and a
    call as it is written.

    Args:
        words: how much of a prompt the tool reads, told to the agent: pipelines cut longer prompts
            off without a word.

    Raises:
        ValueError: ``words`` is below 1.
    """
    if words is not None and words < 1:
        raise ValueError(f"words is {words}; a tool that reads no word cannot be asked")
    limit = "" if words is None else f" At most {words} words; the rest is not read."
    signature = {
        "type": "function",
        "function": {
            "name": TOOL_NAME,
            "description": "Draw one picture from a text prompt.",
            "parameters": {
                "type": "object",
                "properties": {
                    "prompt": {"type": "string", "description": f"What to draw.{limit}"}
                },
                "required": ["prompt"],
            },
        },
    }
    call = f"<tool_call>{write_call('what to draw', syntax)}</tool_call>"
    return f"""\
You draw what the user asks for with an image generator that you call as a tool.

# Tools
<tools>
{json.dumps(signature)}
</tools>

# Turns
First think, then call the tool:
<think>what the picture needs</think>{call}
After each picture judge it against the request:
<judge>what is right and what is wrong</judge>
If it satisfies the request, end with <answer>a word to the user</answer>; otherwise <think> again \
and call the tool with a better prompt."""


SYSTEM_MESSAGE = system_message()
"""Nothing is said of the tool's limits: the miniature's policies know no other message."""

FORMAT_ERRORS = (
    "vision_token",
    "cut_off",
    "two_actions",
    "no_action",
    "text_after_action",
    "answer_before_picture",
    "missing_judgement",
    "missing_thinking",
    "misplaced_text",
    "invalid_json",
    "unknown_tool",
    "empty_prompt",
    "long_prompt",
)
"""Every format error, in order of precedence.

- ``vision_token``: a special token that marks a picture was sampled, also inside a tool prompt.
- ``cut_off``: the length ran out before the turn ended; the caller says so.
- ``two_actions``: more than one whole call or answer. ``no_action``: not one.
- ``text_after_action``: anything but white space after it.
- ``answer_before_picture``: an answer where nothing has been drawn.
- ``missing_judgement``: no whole ``<judge>`` although there is a picture to judge.
- ``missing_thinking``: a call without a whole ``<think>``.
- ``misplaced_text``: loose text, an element the turn does not call for or in the wrong order, or a
  tag or special token inside a tool prompt.
- ``invalid_json``: the call is not strict JSON, or not an object of exactly ``name`` and
  ``arguments``, or its arguments are not exactly one text ``prompt``; in another syntax the same
  of its tags.
- ``unknown_tool``: a call of something else. ``empty_prompt``: a prompt of white space.
- ``long_prompt``: one of more characters than image servers take, ``MAX_PROMPT``. They would refuse
  it, and an attempt that a tool has ended is nobody's fault.
"""

_VISION_TOKENS = (
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
_ACTIONS = ("tool_call", "answer")
_FORBIDDEN = re.compile(
    r"</?(?:judge|think|tool_call|answer|tool_response)>|<\|(?:im_start|im_end|endoftext)\|>"
)
_ELEMENT = re.compile(
    rf"<(judge|think|tool_call|answer)>((?:(?!{_FORBIDDEN.pattern}).)*+)</\1>", re.DOTALL
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """What the agent said in one turn.

    With an error there is no action: ``tool_prompt`` and ``answer`` are None, while a whole
    judgement or thought is kept for the reader.

    Example: ``Turn(thinking="three circles", tool_prompt="red circle top left, …")``
    """

    judgement: str | None = None
    thinking: str | None = None
    tool_prompt: str | None = None
    answer: str | None = None
    error: str | None = None
    """One of ``FORMAT_ERRORS``, or None where the turn is well formed."""


def parse_turn(
    text: str,
    *,
    images_so_far: int,
    max_rounds: int,
    cut_off: bool = False,
    syntax: ToolSyntax = "hermes",
) -> Turn:
    """Read one sampled turn; faults of the text are named in ``.error``, never raised.

    Args:
        text: the sampled text, without the closing ``<|im_end|>``.
        images_so_far: pictures drawn before this turn; with none, the turn is the first.
        max_rounds: pictures allowed. A well-formed call beyond them is no format error: it is
            returned, and the caller ends the trajectory as out of rounds.
        cut_off: the length ran out before the turn ended.
        syntax: of its call.

    Raises:
        ValueError: ``images_so_far`` is negative or ``max_rounds`` is less than one.
    """
    if images_so_far < 0:
        raise ValueError(f"images_so_far is {images_so_far}; it counts pictures, from 0")
    if max_rounds < 1:
        raise ValueError(f"max_rounds is {max_rounds}; allow at least one picture")
    elements = list(_ELEMENT.finditer(text))
    # The first of each kind: what a broken turn still tells a reader.
    said = {match[1]: match[2] for match in reversed(elements)}
    prompt, error = None, _vision_token(text)
    if error is None and cut_off:
        error = "cut_off"
    if error is None:
        error = _shape_error(text, elements, images_so_far)
    if error is None and "tool_call" in said:
        prompt, error = _read_call(said["tool_call"], syntax)
    return Turn(
        judgement=said.get("judge"),
        thinking=said.get("think"),
        tool_prompt=prompt,
        answer=said.get("answer") if error is None else None,
        error=error,
    )


def render_turn(turn: Turn, *, syntax: ToolSyntax = "hermes") -> str:
    """The text of a well-formed turn, such that ``parse_turn`` reads the same turn back.

    Raises:
        ValueError: the turn carries an error, is none of the three forms, or a field holds what
            the protocol or the syntax forbids in it.
    """
    if turn.error is not None:
        raise ValueError(f"a turn with the error {turn.error!r} has no text; render a whole turn")
    given = {
        "judge": turn.judgement,
        "think": turn.thinking,
        "tool_call": turn.tool_prompt,
        "answer": turn.answer,
    }
    fields = {name: text for name, text in given.items() if text is not None}
    if tuple(fields) not in (_FIRST, _DONE, _AGAIN):
        raise ValueError(
            f"no turn is made of {list(fields)}; wants {' or '.join(map(str, (_FIRST, _DONE)))}, "
            f"or {_AGAIN}"
        )
    for name, text in fields.items():
        found = _vision_token(text) or _foreign_text(text)
        if found:
            raise ValueError(f"<{name}> may not hold {text!r}: {found}; remove it")
    if turn.tool_prompt is not None:
        if not turn.tool_prompt.strip():
            raise ValueError("the tool prompt is empty; say what to draw")
        if len(turn.tool_prompt) > MAX_PROMPT:
            length = len(turn.tool_prompt)
            raise ValueError(f"the tool prompt has {length} characters; tools take {MAX_PROMPT}")
        fields["tool_call"] = write_call(turn.tool_prompt, syntax)
    return "".join(f"<{name}>{text}</{name}>" for name, text in fields.items())


_FIRST = ("think", "tool_call")
_DONE = ("judge", "answer")
_AGAIN = ("judge", "think", "tool_call")


def _vision_token(text: str) -> str | None:
    return "vision_token" if any(token in text for token in _VISION_TOKENS) else None


def _foreign_text(text: str) -> str | None:
    """A tag, a special token, or half of a surrogate pair, which no file or tokenizer takes."""
    if _FORBIDDEN.search(text) or any("\ud800" <= character <= "\udfff" for character in text):
        return "misplaced_text"
    return None


def _shape_error(text: str, elements: list[re.Match[str]], images_so_far: int) -> str | None:
    """Whether the turn is one of the three forms; what the call says is not looked at."""
    actions = [match for match in elements if match[1] in _ACTIONS]
    if len(actions) != 1:
        return "two_actions" if actions else "no_action"
    action = actions[0]
    if text[action.end() :].strip():
        return "text_after_action"
    if action[1] == "answer" and images_so_far == 0:
        return "answer_before_picture"
    names = tuple(match[1] for match in elements)
    if images_so_far > 0 and "judge" not in names:
        return "missing_judgement"
    if action[1] == "tool_call" and "think" not in names:
        return "missing_thinking"
    wanted = _FIRST if images_so_far == 0 else _DONE if action[1] == "answer" else _AGAIN
    if names != wanted or _ELEMENT.sub("", text).strip():
        return "misplaced_text"
    return None


def _read_call(body: str, syntax: ToolSyntax) -> tuple[str | None, str | None]:
    """The prompt of a tool call, or the name of what is wrong with the call."""
    prompt, error = read_call(body, syntax)
    if prompt is not None:
        # JSON escapes can spell what the text itself may not.
        error = _vision_token(prompt) or _foreign_text(prompt)
        if error is None and not prompt.strip():
            error = "empty_prompt"
        if error is None and len(prompt) > MAX_PROMPT:
            error = "long_prompt"
    return (prompt, None) if error is None else (None, error)
