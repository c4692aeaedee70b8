"""What is shown while work goes on, on a terminal of 80 columns and in a file."""

import os
import pty
import re
import signal
import subprocess
import sys

import pytest

from genagent_data import Funnel
from genagent_data.synthesis import StageFigures
from genagent_tracking import (
    answer_progress,
    counted,
    funnel_progress,
    progress,
    step_progress,
    waiting,
)
from genagent_tracking.console import LATEST
from genagent_tracking.progress import clock


def on_terminal(code: str) -> str:
    """What a terminal of 80 columns is sent, without its controls."""
    mine, theirs = pty.openpty()
    environment = os.environ | {"COLUMNS": "80", "TERM": "xterm-256color"}
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    sent = b""
    while True:
        try:
            part = os.read(mine, 65536)
        except OSError:  # the other end is closed
            break
        sent += part
    os.close(mine)
    assert process.wait() == 0, sent.decode()
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", sent.decode())


@pytest.mark.parametrize(
    ("seconds", "shown"), [(7.9, "0:07"), (750, "12:30"), (3723, "1:02:03"), (90000, "25:00:00")]
)
def test_a_clock_is_never_longer_than_it_must_be(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown


def test_figures_are_means_of_the_last_five_steps(capsys: pytest.CaptureFixture[str]) -> None:
    with step_progress(7) as bar:
        for reward in (1.0, 0.0, 0.0, 0.0, 0.0, 0.5, 0.5):
            bar.advance({"agent/reward": reward})
    said = re.findall(r"(\d)/7.*reward (\S+)(?:  \(mean of (\d) steps\))?", capsys.readouterr().out)
    assert said == [
        ("1", "1.00", ""),
        ("2", "0.50", "2"),
        ("3", "0.33", "3"),
        ("4", "0.25", "4"),
        ("5", "0.20", "5"),
        ("6", "0.10", "5"),
        ("7", "0.20", "5"),
    ]


def test_a_resumed_run_goes_on_from_where_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    with step_progress(3, done=2) as bar:
        bar.advance({"loss": 1.0})
    assert "3/3" in capsys.readouterr().out


def test_a_file_has_a_line_at_once_and_others_after_quiet_seconds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_QUIET", 1.0)
    with waiting("loading"):
        assert capsys.readouterr().out == "loading\n"
        progress.time.sleep(2.5)
        assert re.match(r"loading  0:0[12]\n", capsys.readouterr().out)
        # The inner one speaks, not both.
        with answer_progress("answering", 4) as answers:
            answers.answered(3, 4)
            progress.time.sleep(2.5)
            answers.answered(4, 4)
    said = capsys.readouterr().out
    assert said.startswith("answering\n") and said.endswith("answering: 4 answers, 0:02\n")
    assert re.search(r"answering  3/4  0:0[12], 0:00 left", said)
    assert "loading" not in said


def test_pictures_are_counted_until_all_that_were_asked_for_have_come(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_QUIET", 1.0)
    with answer_progress("answering", 553) as answers:
        answers.answered(0, 553)
        answers.drawn(24, 553)
        progress.time.sleep(2.5)
        answers.drawn(553, 553)
        answers.answered(7, 553)
        answers.drawn(554, 560)
        answers.answered(8, 553)
        progress.time.sleep(2.5)
        answers.drawn(560, 560)
        progress.time.sleep(3)
    first, *_, last = re.findall("(answering  .*)\n", capsys.readouterr().out)
    assert re.fullmatch(r"answering  0/553  0:0\d  pictures 24/553", first)
    assert re.fullmatch(r"answering  8/553  0:0\d, \d+:\d\d left", last)


def test_what_ends_soon_says_nothing_where_it_is_asked_to(
    capsys: pytest.CaptureFixture[str],
) -> None:
    LATEST.said = 0.0  # as in a process that has said nothing yet
    with waiting("scoring", at_once=False):
        progress.time.sleep(1.5)
    assert capsys.readouterr().out == ""


def test_a_synthesis_says_how_many_came_through(capsys: pytest.CaptureFixture[str]) -> None:
    stages = (
        StageFigures(name="requests", kept=20),
        StageFigures(name="hard", kept=3, drops={"solved_plainly": 7}),
        StageFigures(name="close", kept=2, drops={"pair_lost": 1}),
        StageFigures(name="balance"),
    )
    with funnel_progress(20) as show:
        show(Funnel(stages=stages))
    line = " ".join(capsys.readouterr().out.split())
    assert line.startswith("requests 10/20")
    assert line.endswith("through 2 dropped: solved_plainly 7, pair_lost 1")


def test_a_terminal_of_80_columns_cuts_nothing_and_keeps_what_is_said() -> None:
    sent = on_terminal(
        """
import time
from genagent_tracking import answer_progress, print_line, step_progress, waiting
with waiting("loading"):
    print_line("something between")
    time.sleep(0.3)
title = "http://gpu1:8000,http://gpu2:8000, agent, 3 rounds"
with step_progress(2) as bar:
    metrics = {"agent/reward": 0.5, "agent/judged_success": 0.5, "agent/first_success": 0.5}
    bar.advance(metrics | {"agent/rounds": 1.5})
    with answer_progress(title, 20) as answers:
        answers.answered(7, 20)
        time.sleep(0.3)
    bar.advance(metrics | {"agent/rounds": 1.5})
"""
    )
    assert "…" not in sent
    assert "something between" in sent
    assert re.search(r"loading ━+ +0:00", sent)
    assert re.search(r"learning ━+.* 1/2 +0:0\d, 0:0\d left", sent)
    assert "  reward 0.50  judged success 0.50  first 0.50  rounds 1.50\r" in sent.replace(
        " \r", "\r"
    )
    assert re.search(r"agent, 3 rounds\s*\r\n ━+.* 7/20", sent)
    assert "agent, 3 rounds: 7 answers, 0:00\r\n" in sent


def test_ctrl_c_while_it_loads_gives_the_cursor_back() -> None:
    mine, theirs = pty.openpty()
    code = """
import signal, time
from genagent_tracking import quit_on_interrupt, waiting
quit_on_interrupt()
with waiting("loading"):
    time.sleep(0.3)
    signal.raise_signal(signal.SIGINT)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=theirs,
        stderr=subprocess.PIPE,
        env=os.environ | {"TERM": "xterm"},
        # A shell's background jobs, and what they start, ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    os.close(theirs)
    _, errors = process.communicate(timeout=60)
    sent = os.read(mine, 65536)
    os.close(mine)
    assert (process.returncode, errors) == (130, b"error: stopped before anything had begun\n")
    assert sent.rindex(b"\x1b[?25h") > sent.rindex(b"\x1b[?25l")


def test_what_is_written_one_by_one_is_counted_on_a_terminal_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = (
        "import time; from genagent_tracking import counted\n"
        "for item in counted('records', range(3)): time.sleep(0.3)\n"
    )
    assert re.search(r"records .* 0:00\s+2 done", on_terminal(code))
    assert list(counted("records", "abc")) == ["a", "b", "c"]
    assert capsys.readouterr().out == ""
