"""Qwen3.5's syntax of a call: the same faults by the same names, and round trips."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.data.test_protocol import FAULTS, RESERVED, plain

from genagent_data import FORMAT_ERRORS, Turn, parse_turn, render_turn, system_message

CALL = """<tool_call>
<function=generate_image>
<parameter=prompt>
a cat
</parameter>
</function>
</tool_call>"""
OWN_TAGS = ("<function=", "</function>", "<parameter=", "</parameter>")


def parse(text: str, *, images: int = 0, cut_off: bool = False) -> Turn:
    return parse_turn(text, images_so_far=images, max_rounds=3, cut_off=cut_off, syntax="qwen3.5")


def render(turn: Turn) -> str:
    return render_turn(turn, syntax="qwen3.5")


def call(body: str) -> str:
    return f"<think>t</think><tool_call>{body}</tool_call>"


def function(*parameters: str, name: str = "generate_image") -> str:
    return call(f"\n<function={name}>\n" + "".join(parameters) + "</function>\n")


def parameter(text: str, name: str = "prompt") -> str:
    return f"<parameter={name}>\n{text}\n</parameter>\n"


def test_a_call_is_written_as_qwen_writes_it():
    turn = Turn(thinking="one cat", tool_prompt="a cat")
    assert render(turn) == f"<think>one cat</think>{CALL}"
    assert parse(render(turn)) == turn
    later = Turn(judgement="a dog", thinking="say cat", tool_prompt="a cat")
    assert render(later) == f"<judge>a dog</judge><think>say cat</think>{CALL}"
    done = Turn(judgement="a cat", answer="here")
    assert render(done) == render_turn(done)


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        (call("<function=generate_image><parameter=prompt>\na\n</parameter></function>"), "a"),
        (function(parameter("two lines\n\nand one")), "two lines\n\nand one"),
        (function(parameter("\n a \n")), "\n a \n"),
        (function(parameter('{"a": "<b>"} \\u003c')), '{"a": "<b>"} \\u003c'),
    ],
)
def test_a_prompt_is_taken_to_the_letter(text: str, prompt: str):
    assert parse(text).tool_prompt == prompt


OWN_FAULTS = [
    (call(""), "invalid_json"),
    (call("a cat"), "invalid_json"),
    (call(json.dumps({"name": "generate_image", "arguments": {"prompt": "a"}})), "invalid_json"),
    (function(), "invalid_json"),
    (function(parameter("a"), parameter("b")), "invalid_json"),
    (function(parameter("a"), parameter("2", "n")), "invalid_json"),
    (function(parameter("a", "text")), "invalid_json"),
    (function(parameter("a", "")), "invalid_json"),
    (function("<parameter=prompt>a</parameter>"), "invalid_json"),
    (function("<parameter=prompt>\n</parameter>"), "invalid_json"),
    (function("<parameter=prompt>\na\n"), "invalid_json"),
    (function(parameter("a"), "and more\n"), "invalid_json"),
    (function(parameter("a <function=x> b")), "invalid_json"),
    (function(parameter("a </parameter> b")), "invalid_json"),
    (call(f"<function=generate_image>\n{parameter('a')}"), "invalid_json"),
    (call(f"{parameter('a')}</function>"), "invalid_json"),
    (call("<function=generate_image></function>" * 2), "invalid_json"),
    (function(parameter("a"), name="search"), "unknown_tool"),
    (function(name="search"), "unknown_tool"),
    (function(parameter("a"), name=" generate_image"), "unknown_tool"),
    (function(parameter("")), "empty_prompt"),
    (function(parameter(" \n")), "empty_prompt"),
    (function(parameter("a" * 8001)), "long_prompt"),
    (function(parameter("<|image_pad|>")), "vision_token"),
    (function(parameter("a <think> b")), "no_action"),
]


@pytest.mark.parametrize(("text", "error"), OWN_FAULTS)
def test_each_fault_of_a_call_has_its_name(text: str, error: str):
    turn = parse(text)
    assert (turn.error, turn.tool_prompt, turn.answer) == (error, None, None)


HERMES = '<tool_call>{"name": "generate_image", "arguments": {"prompt": "a cat"}}</tool_call>'
OTHER = [
    (text.replace(HERMES, CALL), images, error)
    for text, images, error in FAULTS
    if error not in ("invalid_json", "unknown_tool", "empty_prompt", "long_prompt")
    and "\\u" not in text
]


@pytest.mark.parametrize(("text", "images", "error"), OTHER)
def test_faults_of_a_turn_are_those_of_any_syntax(text: str, images: int, error: str):
    assert parse(text, images=images).error == error


def test_every_name_occurs():
    names = {error for *_, error in OTHER} | {error for _, error in OWN_FAULTS}
    assert names == set(FORMAT_ERRORS) - {"cut_off"}
    assert parse(f"<think>t</think>{CALL}", cut_off=True).error == "cut_off"


prompts = plain.filter(lambda text: bool(text.strip()) and not any(tag in text for tag in OWN_TAGS))


@settings(deadline=None)
@given(judgement=plain, thinking=plain, prompt=prompts)
@example(judgement="<function=", thinking="</parameter>", prompt="\n</parameter")
@example(judgement="", thinking="", prompt="\n\x00\u2028é\r\n")
def test_what_is_rendered_is_read_back(judgement: str, thinking: str, prompt: str):
    first = Turn(thinking=thinking, tool_prompt=prompt)
    assert parse(render(first)) == first
    later = Turn(judgement=judgement, thinking=thinking, tool_prompt=prompt)
    assert parse(render(later), images=1) == later


pieces = st.sampled_from(
    [
        *(*RESERVED, *OWN_TAGS, CALL, "<function=generate_image>", "<parameter=prompt>\n"),
        *("\n</parameter>", "<think>t</think>", "<judge>j</judge>", " ", "x", "\n"),
    ]
)
sampled = st.one_of(st.text(), st.lists(pieces, max_size=14).map("".join))


@settings(deadline=None)
@given(text=sampled | sampled.map(call), images=st.integers(0, 4), cut_off=st.booleans())
def test_any_text_is_read_and_a_turn_without_error_can_be_rendered(text, images, cut_off):
    turn = parse(text, images=images, cut_off=cut_off)
    if turn.error is None:
        assert (turn.tool_prompt is None) != (turn.answer is None)
        assert parse(render(turn), images=images) == turn
    else:
        assert turn.error in FORMAT_ERRORS
        assert turn.tool_prompt is None and turn.answer is None


@pytest.mark.parametrize(
    "body", ["<parameter=p>\n" * 20_000, "\n" * 100_000, "<function=x>" * 9999]
)
def test_absurd_calls_are_invalid_and_read_at_once(body: str):
    assert parse(call("<function=generate_image>" + body)).error == "invalid_json"


@pytest.mark.parametrize("tag", OWN_TAGS)
def test_a_prompt_with_the_syntaxs_own_tags_is_not_rendered(tag: str):
    turn = Turn(thinking="t", tool_prompt=f"a {tag} b")
    with pytest.raises(ValueError, match=f"may not hold '{tag}'"):
        render(turn)
    assert parse_turn(render_turn(turn), images_so_far=0, max_rounds=1) == turn


def test_the_system_message_shows_a_call_that_the_parser_takes():
    shown = system_message(syntax="qwen3.5")
    begin, end = shown.index("<think>"), shown.index("</tool_call>") + len("</tool_call>")
    assert parse(shown[begin:end]) == Turn(
        thinking="what the picture needs", tool_prompt="what to draw"
    )
    assert "60 words" in system_message(words=60, syntax="qwen3.5")
