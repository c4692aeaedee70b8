"""Options in one word, as reproduce.py is told them."""

import pytest

from genagent_study import Study, Subject, option_words, reward_words
from genagent_study.option_words import without
from genagent_study.sections.table5 import without_pairs


def test_values_flags_and_readings_become_a_command_lines_words():
    assert option_words("lr=1e-4", "trial=") == ("--lr", "1e-4", "--trial")
    assert reward_words("zero", "lambda-failed=0.2", "anchored=") == (
        *("--reward.single-round", "zero"),
        *("--reward.lambda-failed", "0.2", "--reward.anchored"),
    )


def test_what_is_no_option_of_the_reward_stays_as_it_is():
    assert reward_words("zero", "shared-first=0.5")[2:] == ("--shared-first", "0.5")


def test_a_word_without_a_sign_is_refused():
    with pytest.raises(ValueError, match=r"^training is 'lr'; wants name=value, or name= for"):
        option_words("lr")


def test_an_option_goes_with_its_values_and_a_flag_without():
    words = reward_words("zero", "anchored=", "credit=turn", "shared-first=0.5")
    pairs = ("--reward.single-round", "--reward.anchored", "--reward.credit")
    assert without(words, *pairs) == ("--shared-first", "0.5")
    assert without(words) == words


def test_without_its_pairs_a_reward_keeps_the_rest():
    subject = Subject(base="base", cold_start="sft", tool="flux-mini")
    reward = reward_words("zero", "credit=turn", "point=0.5", "shared-first=0.5")
    study = Study(subject=subject, seeds=(0,), steps=1, held_out=1, reward=reward)
    assert without_pairs(study, 0).options[-6:] == (
        *("--reward.point", "0.5", "--shared-first", "0.5", "--reward.single-round", "none"),
    )
