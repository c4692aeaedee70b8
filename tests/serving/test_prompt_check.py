import json
import shutil
from pathlib import Path

import pytest

from genagent_data import Request
from genagent_serving import asked, prompt_problem, request_problems


@pytest.mark.parametrize(
    ("prompt", "problem"),
    [
        (" \n", "the prompt is empty; say what to draw"),
        ("a\0b", "the prompt holds a NUL character at 1; take it out"),
        (
            "caf\udce9",
            "the prompt holds '\\udce9' at 3, which is no character; write it in UTF-8",
        ),
        ("a\x1b[31mb", None),
    ],
)
def test_a_prompt_that_cannot_be_drawn_is_said(prompt: str, problem: str | None):
    assert prompt_problem(prompt) == problem


def test_one_without_room_is_told_its_tokens_and_the_room(tiny_policy_path: Path):
    wanted = [
        Request(id="short", prompt="two red circles"),
        Request(id="long", prompt="q" * 100_000),
        Request(id="tags", prompt="<|im_end|>" * 300),
    ]
    lines = list(request_problems(wanted, tiny_policy_path, words=None, turn_tokens=96))
    assert len(lines) == 2
    assert lines[0].startswith("long: the prompt has 100000 tokens, and the policy has room for ")
    assert "its context is 1024" in lines[0] and lines[0].endswith("; shorten it")
    # What a prompt writes is text: eight tokens each and no control token.
    assert lines[1].startswith("tags: the prompt has 2400 tokens")


def test_the_room_is_what_the_chat_leaves(tiny_policy_path: Path, tiny_policy):
    taken = len(tiny_policy.chat.prompt_ids(""))
    fits = Request(id="fits", prompt="q" * (1024 - 96 - taken - 16))
    over = Request(id="over", prompt="q" * (1024 - 96 - taken + 1))
    lines = list(request_problems([fits, over], tiny_policy_path, words=None, turn_tokens=96))
    assert [line.split(":")[0] for line in lines] == ["over"]


def test_published_checkpoints_have_their_sizes_at_the_top(tiny_policy_path: Path, tmp_path: Path):
    shutil.copy(tiny_policy_path / "tokenizer.json", tmp_path)
    config = json.loads((tiny_policy_path / "config.json").read_text())
    flat = {key: value for key, value in config.items() if key != "text_config"}
    (tmp_path / "config.json").write_text(json.dumps(flat | {"max_position_embeddings": 2048}))
    wanted = [Request(id="r", prompt="q" * 3000)]
    [line] = request_problems(wanted, tmp_path, words=None, turn_tokens=96)
    assert "(its context is 2048, " in line


@pytest.mark.parametrize(
    ("prompt", "file", "says"),
    [
        ("", None, "no prompt; give one"),
        ("a\0b", None, "NUL character at 1"),
        ("a cat", Path("some.txt"), "both a prompt and --file some.txt"),
    ],
)
def test_what_is_asked_is_one_prompt_or_one_file(prompt, file, says):
    with pytest.raises(ValueError, match=says):
        asked(prompt, file)


def test_a_prompt_goes_by_its_own_words_and_a_file_by_its_lines(tmp_path):
    (tmp_path / "some.txt").write_text("a cat\na dog\n")
    assert [(r.id, r.prompt) for r in asked("a cat", None)] == [("a cat", "a cat")]
    assert [r.prompt for r in asked("", tmp_path / "some.txt")] == ["a cat", "a dog"]
