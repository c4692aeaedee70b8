"""Options in one word, as reproduce.py is told them."""

import pytest

from genagent_study import option_words, reward_words


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
