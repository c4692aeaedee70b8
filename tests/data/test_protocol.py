"""The turn's text: what is well formed, what each fault is called, and round trips."""

import json
import re

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from genagent_data import (
    FORMAT_ERRORS,
    OBSERVATION,
    SYSTEM_MESSAGE,
    TOOL_NAME,
    Turn,
    parse_turn,
    render_turn,
    system_message,
)

CALL = '<tool_call>{"name": "generate_image", "arguments": {"prompt": "a cat"}}</tool_call>'
TAGS = ("judge", "think", "tool_call", "answer", "tool_response")
RESERVED = [f"<{slash}{tag}>" for tag in TAGS for slash in ("", "/")] + [
    "<|im_start|>",
    "<|im_end|>",
    "<|endoftext|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
]


def parse(text: str, *, images: int = 0, rounds: int = 3, cut_off: bool = False) -> Turn:
    return parse_turn(text, images_so_far=images, max_rounds=rounds, cut_off=cut_off)


def call(body: str) -> str:
    return f"<think>t</think><tool_call>{body}</tool_call>"


def test_the_first_turn_thinks_and_calls():
    turn = Turn(thinking="one cat", tool_prompt="a cat")
    assert render_turn(turn) == f"<think>one cat</think>{CALL}"
    assert parse(f"<think>one cat</think>{CALL}") == turn


def test_a_later_turn_judges_and_answers():
    turn = Turn(judgement="a cat, as asked", answer="here")
    assert render_turn(turn) == "<judge>a cat, as asked</judge><answer>here</answer>"
    assert parse("<judge>a cat, as asked</judge><answer>here</answer>", images=1) == turn


def test_a_later_turn_judges_thinks_and_calls_again():
    turn = Turn(judgement="a dog", thinking="say cat", tool_prompt="a cat")
    assert render_turn(turn) == f"<judge>a dog</judge><think>say cat</think>{CALL}"
    assert parse(f"<judge>a dog</judge><think>say cat</think>{CALL}", images=2) == turn


def test_a_call_beyond_the_last_allowed_picture_is_no_format_error():
    turn = parse(f"<judge>a dog</judge><think>again</think>{CALL}", images=3, rounds=3)
    assert (turn.error, turn.tool_prompt) == (None, "a cat")


def test_white_space_between_elements_is_let_pass_and_kept_inside_them():
    assert parse(f"\n<think> one\ncat </think>\n{CALL} \n") == Turn(
        thinking=" one\ncat ", tool_prompt="a cat"
    )


def test_json_may_be_spaced_and_escaped_in_any_way():
    body = '{ "arguments":{"prompt":"caf\\u00e9 \\"x\\""},\n"name":"generate_image" }'
    assert parse(call(body)).tool_prompt == 'café "x"'


FAULTS = [
    # what may not be sampled
    (f"<think>like <|image_pad|> this</think>{CALL}", 0, "vision_token"),
    ("<|vision_start|>", 0, "vision_token"),
    ("<judge>x</judge><answer><|video_pad|></answer>", 1, "vision_token"),
    ("<judge>x</judge><answer>y</answer><|vision_end|>", 1, "vision_token"),
    (call(json.dumps({"name": TOOL_NAME, "arguments": {"prompt": "<|vision_pad|>"}})), 0,
     "vision_token"),
    (call('{"name": "generate_image", "arguments": {"prompt": "\\u003c|image_pad|>"}}'), 0,
     "vision_token"),
    # the one action
    ("", 0, "no_action"),
    ("a cat", 0, "no_action"),
    ("<think>a cat</think>", 0, "no_action"),
    ("<judge>fine</judge>", 1, "no_action"),
    ('<think>t</think><tool_call>{"name": "generate_image"', 0, "no_action"),
    ("<judge>fine</judge><answer>done", 1, "no_action"),
    ("<judge>fine</judge><Answer>done</Answer>", 1, "no_action"),
    (f"<think>t</think>{CALL}{CALL}", 0, "two_actions"),
    (f"<judge>j</judge><think>t</think>{CALL}<answer>a</answer>", 1, "two_actions"),
    ("<judge>j</judge><answer>a</answer><answer>b</answer>", 1, "two_actions"),
    (f"<think>t</think>{CALL} there", 0, "text_after_action"),
    (f"<think>t</think>{CALL}<tool_call>", 0, "text_after_action"),
    (f"<think>t</think>{CALL}{OBSERVATION}", 0, "text_after_action"),
    (f"<think>t</think>{CALL}<|im_end|>", 0, "text_after_action"),
    ("<judge>j</judge><answer>a</answer>!", 1, "text_after_action"),
    ("<judge>j</judge><answer>a</answer><judge>k</judge>", 1, "text_after_action"),
    ("<answer>a</answer>", 0, "answer_before_picture"),
    ("<judge>j</judge><answer>a</answer>", 0, "answer_before_picture"),
    # what leads up to it
    ("<answer>a</answer>", 1, "missing_judgement"),
    (f"<think>t</think>{CALL}", 1, "missing_judgement"),
    (f"<judge>j<think>t</think>{CALL}", 1, "missing_judgement"),
    (CALL, 0, "missing_thinking"),
    (f"<judge>j</judge>{CALL}", 1, "missing_thinking"),
    (f"<think>I use <tool_call> now</think>{CALL}", 0, "missing_thinking"),
    (f"<think>x<|im_start|>user</think>{CALL}", 0, "missing_thinking"),
    (f"Sure! <think>t</think>{CALL}", 0, "misplaced_text"),
    (f"<think>t</think>so:{CALL}", 0, "misplaced_text"),
    (f"<judge>j</judge><think>t</think>{CALL}", 0, "misplaced_text"),
    (f"<think>t</think><think>u</think>{CALL}", 0, "misplaced_text"),
    (f"<think>t</think><judge>j</judge>{CALL}", 1, "misplaced_text"),
    ("<judge>j</judge><think>t</think><answer>a</answer>", 1, "misplaced_text"),
    ("<judge>j</judge></judge><answer>a</answer>", 1, "misplaced_text"),
    (call('{"name": "generate_image", "arguments": {"prompt": "\\u003cthink>"}}'), 0,
     "misplaced_text"),
    # the call itself
    (call(""), 0, "invalid_json"),
    (call("a cat"), 0, "invalid_json"),
    (call("[]"), 0, "invalid_json"),
    (call("{}"), 0, "invalid_json"),
    (call("{'name': 'generate_image', 'arguments': {'prompt': 'a'}}"), 0, "invalid_json"),
    (call('{"name": "generate_image", "arguments": {"prompt": "a"}'), 0, "invalid_json"),
    (call('{"name": "generate_image", "arguments": {"prompt": "a"},}'), 0, "invalid_json"),
    (call('{"name": "generate_image", "arguments": {"prompt": "a"}} {}'), 0, "invalid_json"),
    (call('{"name": "generate_image", "arguments": {"prompt": "a\nb"}}'), 0, "invalid_json"),
    (call('{"name": "generate_image", "arguments": {"prompt": 3}}'), 0, "invalid_json"),
    (call('{"name": "generate_image", "arguments": {"prompt": NaN}}'), 0, "invalid_json"),
    (call('{"name": "generate_image", "arguments": {"prompt": null}}'), 0, "invalid_json"),
    (call('{"name": "generate_image", "arguments": {"prompt": "\\ud800"}}'), 0,
     "misplaced_text"),
    (call('{"name": "generate_image", "arguments": {}}'), 0, "invalid_json"),
    (call('{"name": "generate_image", "arguments": "a"}'), 0, "invalid_json"),
    (call('{"name": "generate_image"}'), 0, "invalid_json"),
    (call('{"name": 1, "arguments": {"prompt": "a"}}'), 0, "invalid_json"),
    (call('{"arguments": {"prompt": "a"}}'), 0, "invalid_json"),
    (call('{"name": "generate_image", "arguments": {"prompt": "a", "n": 2}}'), 0,
     "invalid_json"),
    (call('{"name": "generate_image", "arguments": {"prompt": "a", "prompt": "b"}}'), 0,
     "invalid_json"),
    (call('{"name": "x", "name": "generate_image", "arguments": {"prompt": "a"}}'), 0,
     "invalid_json"),
    (call('{"name": "generate_image", "arguments": {"prompt": "a"}, "id": 1}'), 0,
     "invalid_json"),
    (call('{"name": "search", "arguments": {"query": "a"}}'), 0, "unknown_tool"),
    (call('{"name": "Generate_image", "arguments": {"prompt": "a"}}'), 0, "unknown_tool"),
    (call('{"name": "generate_image", "arguments": {"prompt": ""}}'), 0, "empty_prompt"),
    (call('{"name": "generate_image", "arguments": {"prompt": " \\n"}}'), 0, "empty_prompt"),
    (call(f'{{"name": "generate_image", "arguments": {{"prompt": "{"a" * 8001}"}}}}'), 0,
     "long_prompt"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "images", "error"), FAULTS)
def test_each_fault_has_its_name(text, images, error):
    turn = parse(text, images=images)
    assert turn.error == error
    assert turn.tool_prompt is None and turn.answer is None


def test_the_longest_prompt_is_read_and_written_and_no_longer_one():
    longest = Turn(thinking="t", tool_prompt="a" * 8000)
    assert parse(render_turn(longest), images=0) == longest
    with pytest.raises(ValueError, match="the tool prompt has 8001 characters; tools take 8000"):
        render_turn(Turn(thinking="t", tool_prompt="a" * 8001))


def test_every_name_is_listed_and_tested():
    assert {error for _, _, error in FAULTS} == set(FORMAT_ERRORS) - {"cut_off"}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (f"<think>t</think>{CALL}", "cut_off"),
        ("<think>one", "cut_off"),
        ("<think>one <|image_pad|>", "vision_token"),
    ],
)
def test_a_turn_that_ran_out_of_length_is_cut_off_unless_it_forged_a_picture(text, error):
    assert parse(text, cut_off=True).error == error


def test_a_broken_turn_keeps_the_words_but_no_action():
    turn = parse(f"<judge>j</judge><think>t</think>{CALL}{CALL}", images=1)
    assert turn == Turn(judgement="j", thinking="t", error="two_actions")
    turn = parse("<judge>j</judge><think>t</think><tool_call>{", images=1, cut_off=True)
    assert turn == Turn(judgement="j", thinking="t", error="cut_off")


@pytest.mark.parametrize("body", ["[" * 200_000, "9" * 10_000, '{"a":' * 100_000])
def test_absurd_json_is_invalid_not_an_exception(body):
    assert parse(call(body)).error == "invalid_json"


plain = st.text(max_size=40).filter(lambda text: not any(word in text for word in RESERVED))
prompts = plain.filter(lambda text: bool(text.strip()))


@settings(deadline=None)
@given(judgement=plain, thinking=plain, prompt=prompts, answer=plain)
@example(judgement="<", thinking="</thin", prompt='"}}</tool_cal', answer=">\\")
@example(judgement="", thinking="\n", prompt="\x00\u2028é", answer="")
def test_what_is_rendered_is_read_back(judgement, thinking, prompt, answer):
    first = Turn(thinking=thinking, tool_prompt=prompt)
    assert parse(render_turn(first)) == first
    for later in (
        Turn(judgement=judgement, answer=answer),
        Turn(judgement=judgement, thinking=thinking, tool_prompt=prompt),
    ):
        assert parse(render_turn(later), images=1) == later


pieces = st.sampled_from([*RESERVED, CALL, "<think>t</think>", "<judge>j</judge>", " ", "x", "{}"])
sampled = st.one_of(st.text(), st.lists(pieces, max_size=10).map("".join))


@settings(deadline=None)
@given(text=sampled, images=st.integers(0, 4), cut_off=st.booleans())
def test_any_text_is_read_and_a_turn_without_error_can_be_rendered(text, images, cut_off):
    turn = parse(text, images=images, cut_off=cut_off)
    if turn.error is None:
        assert (turn.tool_prompt is None) != (turn.answer is None)
        assert parse(render_turn(turn), images=images) == turn
    else:
        assert turn.error in FORMAT_ERRORS
        assert turn.tool_prompt is None and turn.answer is None


@settings(deadline=None)
@given(text=sampled, token=st.sampled_from(RESERVED[-5:]), at=st.integers(0, 100))
def test_a_vision_token_anywhere_goes_before_every_other_fault(text, token, at):
    assert parse(text[:at] + token + text[at:]).error == "vision_token"


@settings(deadline=None)
@given(text=sampled, after=st.text(min_size=1))
def test_nothing_well_formed_stays_so_with_text_after_it(text, after):
    assume(after.strip())
    assert parse(f"<think>t</think>{CALL}{after}").error is not None


@pytest.mark.parametrize("word", RESERVED)
@pytest.mark.parametrize("field", ["judgement", "thinking", "tool_prompt"])
def test_reserved_words_are_not_rendered(word, field):
    fields = {"judgement": "j", "thinking": "t", "tool_prompt": "p"} | {field: f"a{word}b"}
    with pytest.raises(ValueError, match="may not hold"):
        render_turn(Turn(**fields))


@pytest.mark.parametrize(
    ("turn", "message"),
    [
        (Turn(), "no turn is made of"),
        (Turn(tool_prompt="p"), "no turn is made of"),
        (Turn(answer="a"), "no turn is made of"),
        (Turn(judgement="j"), "no turn is made of"),
        (Turn(judgement="j", thinking="t", answer="a"), "no turn is made of"),
        (Turn(thinking="t", tool_prompt="p", answer="a"), "no turn is made of"),
        (Turn(thinking="t", tool_prompt=" "), "prompt is empty"),
        (Turn(thinking="\ud800", tool_prompt="p"), "may not hold"),
        (Turn(thinking="t", error="no_action"), "with the error 'no_action'"),
    ],
)
def test_what_is_no_turn_is_not_rendered(turn, message):
    with pytest.raises(ValueError, match=message):
        render_turn(turn)


def test_counts_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="images_so_far is -1"):
        parse("", images=-1)
    with pytest.raises(ValueError, match="max_rounds is 0"):
        parse("", rounds=0)


def test_the_system_message_shows_a_call_that_the_parser_takes():
    tools = re.search(r"<tools>\n(.*)\n</tools>", SYSTEM_MESSAGE)
    assert tools and json.loads(tools[1])["function"]["name"] == TOOL_NAME
    shown = re.search(r"<think>.*</tool_call>", SYSTEM_MESSAGE)
    assert shown and parse(shown[0]).error is None


def test_a_tools_word_limit_stands_in_its_signature():
    tools = re.search(r"<tools>\n(.*)\n</tools>", system_message(words=60))
    assert tools
    prompt = json.loads(tools[1])["function"]["parameters"]["properties"]["prompt"]
    assert prompt["description"] == "What to draw. At most 60 words; the rest is not read."
    assert system_message() == SYSTEM_MESSAGE and "At most" not in SYSTEM_MESSAGE
    with pytest.raises(ValueError, match="words is 0"):
        system_message(words=0)
