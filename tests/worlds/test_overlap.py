"""Training requests that ask what is held out are told of."""

from pathlib import Path

import pytest

from genagent_worlds import warn_of_overlap

HELD_OUT = "two red circles beside a blue square\na cat that reads a book\n"
TRAIN = "a dog\nA cat that reads a book.\nthree green stars\n"


def test_what_is_asked_in_training_and_held_out_is_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    train, held_out, other = (tmp_path / name for name in ("train.txt", "held.txt", "other.txt"))
    train.write_text(TRAIN)
    held_out.write_text(HELD_OUT)
    other.write_text("a dog\n")
    for files in ((None, held_out), (train, None), (train, train), (other, held_out)):
        warn_of_overlap(*files)
    assert caplog.messages == []
    warn_of_overlap(train, held_out)
    [said] = caplog.messages
    assert said.startswith(
        f"1 of 3 requests of {train} ask what {held_out} holds out (the first: 'train-2' is "
        "'held-2' there, the same words); "
    )
