"""Trajectories as chat messages in OpenAI's form, which MLflow's page shows as a conversation.

A tool's text is a ``tool`` message and the picture a ``user`` message behind it: the page shows no
picture of a ``tool`` message, and the agent itself got it as a user turn. A call is a message of
its own behind the thought, because the page shows the calls of a message above its text. Text is
escaped, so that what a model wrote cannot make the page load a picture or show a link.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence

from genagent_data import (
    TOOL_NAME,
    Picture,
    Round,
    ToolSyntax,
    Trajectory,
    Turn,
    parse_turn,
    system_message,
)

Message = dict[str, object]

_MARKDOWN = re.compile(r"[\\`*_\[\]<]|^#", re.MULTILINE)


def chat_messages(
    trajectory: Trajectory,
    turns: Sequence[str] | None,
    picture_url: Callable[[Picture], str],
    *,
    tool_syntax: ToolSyntax = "hermes",
    words: int | None = None,
) -> list[Message]:
    """System, user, and then for each turn what the agent said and what came back.

    Args:
        trajectory: the rounds with their pictures.
        turns: the sampled text of each turn; the turns that called the tool match the rounds. None
            where it was not kept: the words are the rounds' then, and of a turn that broke the
            protocol there are none.
        picture_url: from a picture to the URL to show it from.
        tool_syntax: in which the turns call the tool.
        words: of a prompt that the tool reads, as the agent was told.

    Raises:
        ValueError: there are more rounds than turns.
    """
    rounds = trajectory.rounds
    if turns is not None and len(turns) < len(rounds):
        raise ValueError(f"{len(turns)} turns for {len(rounds)} rounds; pass the text of each turn")
    messages: list[Message] = [
        {"role": "system", "content": _plain(system_message(words=words, syntax=tool_syntax))},
        {"role": "user", "content": _plain(trajectory.request.prompt)},
    ]
    said = _told(trajectory) if turns is None else _read(trajectory, turns, tool_syntax)
    for index, (turn, text) in enumerate(said):
        messages.extend(_agent_messages(turn, text, index))
        if index < len(rounds):
            messages.extend(_tool_messages(rounds[index], index, trajectory.error, picture_url))
    return messages


def _read(
    trajectory: Trajectory, turns: Sequence[str], syntax: ToolSyntax
) -> Iterator[tuple[Turn, str]]:
    """Each turn, and its text to the letter."""
    rounds = len(trajectory.rounds)
    for index, text in enumerate(turns):
        is_cut = trajectory.error == "cut_off" and index == len(turns) - 1
        room = {"images_so_far": min(index, rounds), "max_rounds": rounds + 1}
        yield parse_turn(text, **room, cut_off=is_cut, syntax=syntax), text


def _told(trajectory: Trajectory) -> Iterator[tuple[Turn, str]]:
    """The turns that the rounds and the answer tell of."""
    judgement = None
    for round in trajectory.rounds:
        said = {"thinking": round.thinking, "tool_prompt": round.tool_prompt}
        yield Turn(judgement=judgement, **said), ""
        judgement = round.judgement
    if judgement is not None or trajectory.answer is not None:
        yield Turn(judgement=judgement, answer=trajectory.answer), ""


def _agent_messages(turn: Turn, text: str, index: int) -> list[Message]:
    if turn.error is not None:
        content = f"**Format error: {turn.error}**\n\n{_fence(text)}"
        return [{"role": "assistant", "content": content}]
    parts = [("Judge", turn.judgement), ("Think", turn.thinking), ("Answer", turn.answer)]
    lines = [f"**{name}:** {_plain(said)}" for name, said in parts if said is not None]
    messages: list[Message] = [{"role": "assistant", "content": "\n\n".join(lines)}]
    if turn.tool_prompt is not None:
        arguments = json.dumps({"prompt": turn.tool_prompt}, ensure_ascii=False)
        function = {"name": TOOL_NAME, "arguments": arguments}
        call = {"id": _call_id(index), "type": "function", "function": function}
        messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
    return messages


def _tool_messages(
    round: Round, index: int, error: str | None, picture_url: Callable[[Picture], str]
) -> list[Message]:
    if round.picture is None:
        text = f"No picture: {_plain(error or 'the tool failed')}"
    else:
        text = f"Picture {index + 1}, seed {round.seed}, {round.tool_seconds:.2f} s"
    messages: list[Message] = [
        {"role": "tool", "tool_call_id": _call_id(index), "name": TOOL_NAME, "content": text}
    ]
    if round.picture is not None:
        image = {"type": "image_url", "image_url": {"url": picture_url(round.picture)}}
        messages.append({"role": "user", "content": [image]})
    return messages


def _call_id(index: int) -> str:
    return f"call_{index + 1}"


def _plain(text: str) -> str:
    """Markdown that shows the text as it is."""
    return _MARKDOWN.sub(r"\\\g<0>", text)


def _fence(text: str) -> str:
    """A code block that the text cannot close."""
    ticks = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, ticks + 1)
    return f"{fence}text\n{text}\n{fence}"
