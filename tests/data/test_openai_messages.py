"""OpenAI messages: pictures are parts, calls are text, and all is read back."""

import json
import re
from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.data.record_examples import BLUE, CALL, DONE, RED, pixels, record, records

from genagent_data import RecordError, Request, read_openai, system_message, write_openai


@settings(max_examples=40)
@pytest.mark.parametrize("embed", [False, True])
@given(written=st.lists(records(), max_size=3))
@example(written=[record(prompt="an <image> of <|im_end|>")])
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, embed, written):
    folder = tmp_path_factory.mktemp("openai")
    assert write_openai(folder, iter(written), embed=embed) == len(written)
    read = list(read_openai(folder))
    assert read == written
    assert [pixels(one) for one in read] == [pixels(one) for one in written]
    assert (folder / "pictures").exists() == (not embed and any(one.pictures for one in written))


def test_a_row_holds_every_word_where_the_policy_has_it(tmp_path):
    write_openai(tmp_path, [record(words=60, rounds=1)])
    row = json.loads((tmp_path / "messages.jsonl").read_text())
    url = f"pictures/{RED.name[:2]}/{RED.name}.png"
    assert row["messages"] == [
        {"role": "system", "content": system_message(words=60)},
        {"role": "user", "content": "three circles"},
        {"role": "assistant", "content": CALL},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "<tool_response>\n"},
                {"type": "image_url", "image_url": {"url": url}},
                {"type": "text", "text": "\n</tool_response>"},
            ],
        },
        {"role": "assistant", "content": DONE},
    ]


def messages(*changed: tuple[int, dict]) -> dict:
    found = [
        {"role": "user", "content": [{"type": "text", "text": "a dog"}]},
        {"role": "assistant", "content": CALL},
        {"role": "tool", "content": [{"type": "image", "image": "dog.png"}]},
        {"role": "assistant", "content": DONE},
    ]
    for index, change in changed:
        found[index] = found[index] | change
    return {"messages": found}


def test_messages_of_other_programs_are_read(tmp_path):
    BLUE.image.save(tmp_path / "dog.png")
    (tmp_path / "a b.png").write_bytes((tmp_path / "dog.png").read_bytes())
    local = {"type": "image_url", "image_url": f"file://{tmp_path}/a%20b.png"}
    path = tmp_path / "some.json"
    path.write_text(json.dumps([messages(), messages((2, {"content": [local]}))]))
    one, other = read_openai(path)
    assert one.request == Request(id="some-1", prompt="a dog")
    assert one.turns == other.turns == (CALL, DONE)
    assert one.pictures == other.pictures == (BLUE,)


SHOWN = {"type": "image", "image": "dog.png"}


@pytest.mark.parametrize(
    ("row", "reason", "says"),
    [
        ({"messages": []}, "no_record", '"messages" wants a list'),
        ({"messages": [3]}, "no_record", 'message 1 wants a "role"'),
        (
            {"messages": messages()["messages"][:3]},
            "order",
            "the last message is not the assistant",
        ),
        ({"messages": messages()["messages"][1:]}, "order", "from 'assistant' where 'user'"),
        (messages((0, {"role": "tool"})), "order", "from 'tool' where 'user' should speak"),
        (
            messages((1, {"tool_calls": [{"id": "a"}]})),
            "no_record",
            "message 2 calls a tool by tool",
        ),
        (messages((1, {"content": None})), "no_record", "an assistant message wants one text"),
        (messages((0, {"content": [SHOWN]})), "no_record", "the first user message wants one text"),
        (messages((2, {"content": "seen"})), "no_record", "a user message has the part 'seen'"),
        (messages((2, {"content": [SHOWN, SHOWN]})), "picture_count", "has 2 pictures; show one"),
        (messages((2, {"content": []})), "picture_count", "has 0 pictures"),
        (
            messages((2, {"content": [{"type": "text", "text": "see"}, SHOWN]})),
            "no_record",
            "an observation says .*'see', ''",
        ),
        (
            messages((2, {"content": [{"type": "image", "image": "http://a/b.png"}]})),
            "missing_picture",
            "is not on this machine; download it",
        ),
        (
            messages((2, {"content": [{"type": "image", "image": "data:image/png;base64,?"}]})),
            "broken_picture",
            "is no base64",
        ),
        (
            messages((2, {"content": [{"type": "image", "image": "data:image/png;base64,aaaa"}]})),
            "broken_picture",
            "cannot be decoded",
        ),
        (messages((2, {"content": [SHOWN | {"image": "cat.png"}]})), "missing_picture", "cat.png"),
        (messages((3, {"content": "done"})), "format_error/no_action", "turn 2 of 2 would"),
    ],
)
def test_a_bad_row_is_one_clear_line_with_its_place(tmp_path, row, reason, says):
    Image.new("RGB", (2, 2)).save(tmp_path / "dog.png")
    path = tmp_path / "some.jsonl"
    path.write_text(json.dumps(messages()) + "\n" + json.dumps(row) + "\n")
    with pytest.raises(RecordError, match=f"^{re.escape(str(path))}:2: .*{says}") as caught:
        list(read_openai(path))
    assert caught.value.reason == reason
    assert "\n" not in str(caught.value)
    dropped = Counter()
    kept = list(read_openai(path, drop=lambda error: dropped.update([error.reason])))
    assert (len(kept), dropped) == (1, {reason: 1})
