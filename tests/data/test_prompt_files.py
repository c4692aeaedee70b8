"""Questions to teachers, and the version that tells their wordings apart."""

import hashlib
from importlib.resources import files

import pytest

from genagent_data import PromptFile, prompt_version, read_prompt


def test_a_prompt_is_its_file_and_the_hash_of_it():
    content = files("genagent_data").joinpath("teacher_prompts", "hard_requests.md").read_bytes()
    version = hashlib.sha256(content).hexdigest()[:12]
    assert read_prompt("hard_requests") == PromptFile(text=content.decode(), version=version)
    assert prompt_version("hard_requests") == version


def test_an_unknown_prompt_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"no prompt is called '../x'; known: .*hard_requests"):
        read_prompt("../x")


def test_places_are_filled_and_none_is_left():
    prompt = PromptFile(text="$$5 for $what", version="0")
    assert prompt.fill(what="$what", more=1) == "$5 for $what"
    with pytest.raises(ValueError, match=r"the prompt has a place \$what; give its value"):
        prompt.fill(more=1)
