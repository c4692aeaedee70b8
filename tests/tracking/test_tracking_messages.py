import json
from dataclasses import replace
from pathlib import Path

import pytest

from genagent_data import Picture, Request, Round, ToolSyntax, Trajectory, Turn, render_turn
from genagent_tracking import TrajectoryRecord, chat_messages
from genagent_tracking.traces import split_conversation, summary_line

SYNTAXES: tuple[ToolSyntax, ...] = ("hermes", "qwen3.5")
REQUEST = Request(id="train-7", prompt="two red circles", task="count")
CALL_1 = render_turn(Turn(thinking="one, then", tool_prompt="red circle left"))
CALL_2 = render_turn(Turn(judgement="one is missing", thinking="both", tool_prompt="red circles"))
DONE = render_turn(Turn(judgement="two red circles", answer="here"))


def url(picture: Picture) -> str:
    return f"data:{picture.name}"


def drawn(*names: str | None) -> tuple[Round, ...]:
    return tuple(
        Round(
            thinking="t",
            tool_prompt="p",
            picture=None if name is None else Picture(name, path=Path(f"{name}.png")),
            seed=17,
            tool_seconds=0.25,
        )
        for name in names
    )


def short(messages: list[dict[str, object]]) -> list[tuple[object, object]]:
    """Role with content, or with the prompt of the call."""
    said = []
    for message in messages:
        calls = message.get("tool_calls")
        if isinstance(calls, list):
            said.append((message["role"], json.loads(calls[0]["function"]["arguments"])["prompt"]))
        else:
            said.append((message["role"], message["content"]))
    return said


def picture(name: str) -> list[dict[str, object]]:
    return [{"type": "image_url", "image_url": {"url": f"data:{name}"}}]


def test_calls_are_shown_alike_in_whatever_syntax():
    trajectory = Trajectory(request=REQUEST, rounds=drawn("aa"), answer="here", ending="answer")
    turns = [Turn(thinking="t", tool_prompt="red"), Turn(judgement="right", answer="here")]
    said = [tuple(render_turn(turn, syntax=syntax) for turn in turns) for syntax in SYNTAXES]
    shown = [
        chat_messages(trajectory, words, url, tool_syntax=syntax)
        for words, syntax in zip(said, SYNTAXES, strict=True)
    ]
    assert shown[0][1:] == shown[1][1:] and ("assistant", "red") in short(shown[1][1:])
    assert "function=generate" in str(shown[1][0]) and "function=" not in str(shown[0][0])


def test_two_rounds_and_an_answer():
    trajectory = Trajectory(
        request=REQUEST, rounds=drawn("aa", "bb"), answer="here", ending="answer"
    )

    messages = chat_messages(trajectory, (CALL_1, CALL_2, DONE), url)

    assert messages[0]["role"] == "system"
    assert short(messages[1:]) == [
        ("user", "two red circles"),
        ("assistant", "**Think:** one, then"),
        ("assistant", "red circle left"),
        ("tool", "Picture 1, seed 17, 0.25 s"),
        ("user", picture("aa")),
        ("assistant", "**Judge:** one is missing\n\n**Think:** both"),
        ("assistant", "red circles"),
        ("tool", "Picture 2, seed 17, 0.25 s"),
        ("user", picture("bb")),
        ("assistant", "**Judge:** two red circles\n\n**Answer:** here"),
    ]
    assert [message["tool_call_id"] for message in messages if message["role"] == "tool"] == [
        "call_1",
        "call_2",
    ]
    asked, followed = split_conversation(messages)
    assert (asked, followed) == (messages[:2], messages[2:])


def test_a_call_beyond_the_rounds_is_said_without_a_picture():
    trajectory = Trajectory(request=REQUEST, rounds=drawn("aa"), ending="out_of_rounds")

    assert short(chat_messages(trajectory, (CALL_1, CALL_2), url))[-2:] == [
        ("assistant", "**Judge:** one is missing\n\n**Think:** both"),
        ("assistant", "red circles"),
    ]


def test_words_that_were_not_kept_are_the_rounds():
    rounds = tuple(
        replace(round, thinking=thought, tool_prompt=asked, judgement=judgement)
        for round, thought, asked, judgement in zip(
            drawn("aa", "bb"),
            ("one, then", "both"),
            ("red circle left", "red circles"),
            ("one is missing", "two red circles"),
            strict=True,
        )
    )
    answered = Trajectory(request=REQUEST, rounds=rounds, answer="here", ending="answer")
    out = Trajectory(request=REQUEST, rounds=rounds, ending="out_of_rounds")
    broken = Trajectory(
        request=REQUEST, rounds=drawn("aa"), ending="format_error", error="no_action"
    )
    assert chat_messages(answered, None, url) == chat_messages(
        answered, (CALL_1, CALL_2, DONE), url
    )
    assert short(chat_messages(out, None, url))[-1] == ("assistant", "**Judge:** two red circles")
    assert short(chat_messages(broken, None, url))[-1] == ("user", picture("aa"))


def test_a_failed_tool_has_the_last_word():
    trajectory = Trajectory(
        request=REQUEST, rounds=drawn(None), ending="tool_failure", error="timed out after 60 s"
    )

    _, followed = split_conversation(chat_messages(trajectory, (CALL_1,), url))

    assert short(followed)[-1:] == [("tool", "No picture: timed out after 60 s")]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("<answer>ok</answer>", "answer_before_picture"),
        ("<think>I ```cannot", "no_action"),
        (CALL_1 + "x", "text_after_action"),
        ("<think>so long", "cut_off"),
    ],
)
def test_a_format_error_shows_the_text_to_the_letter(text: str, error: str):
    trajectory = Trajectory(request=REQUEST, rounds=(), ending="format_error", error=error)

    message = chat_messages(trajectory, (text,), url)[-1]

    content = str(message["content"])
    assert content.startswith(f"**Format error: {error}**")
    fence = "````" if "```" in text else "```"
    assert content.endswith(f"\n{fence}text\n{text}\n{fence}")


def test_text_cannot_become_a_link_a_picture_or_a_heading():
    said = "![x](http://a/b.png) <img src=x> `c` *d*\n# e"
    request = Request(id="a", prompt=said)
    turn = render_turn(Turn(thinking=said, tool_prompt="p"))
    trajectory = Trajectory(request=request, rounds=drawn("aa"), ending="out_of_rounds")

    messages = chat_messages(trajectory, (turn,), url)

    plain = "!\\[x\\](http://a/b.png) \\<img src=x> \\`c\\` \\*d\\*\n\\# e"
    assert messages[1]["content"] == plain
    assert messages[2]["content"] == f"**Think:** {plain}"


def test_fewer_turns_than_rounds_are_refused():
    trajectory = Trajectory(request=REQUEST, rounds=drawn("aa", "bb"), ending="answer")

    with pytest.raises(ValueError, match="1 turns for 2 rounds"):
        chat_messages(trajectory, (CALL_1,), url)


def test_summary_line():
    trajectory = Trajectory(
        request=REQUEST, rounds=drawn("aa"), ending="format_error", error="two_actions"
    )

    line = summary_line(TrajectoryRecord(trajectory=trajectory, turns=(CALL_1,)))

    assert line == "format error (two_actions), 1 round"


def test_the_agent_is_shown_as_told_how_many_words_the_tool_reads():
    trajectory = Trajectory(request=REQUEST, rounds=drawn("aa"), answer="here", ending="answer")
    limited = chat_messages(trajectory, (CALL_1, DONE), url, words=60)
    assert "At most 60 words" in str(limited[0]["content"])
    assert "At most" not in str(chat_messages(trajectory, (CALL_1, DONE), url)[0]["content"])
