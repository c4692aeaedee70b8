"""A judge that hangs holds up nobody for whom it is too late."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.ctrl_c import as_in_a_terminal
from tests.judge_server import YES, Answer, serving
from tests.waiting import until

from genagent_rewards import VerdictCache
from genagent_rollout.judging import JUDGED_AT_ONCE

JUDGING = """
import sys, time
from PIL import Image
from genagent_rewards import Picture, PointQuestion, PointwiseJudge, VerdictCache
from genagent_rollout.judging import judging_threads
from tests.judge_server import chat_for

judge = PointwiseJudge(chat_for(sys.argv[1]), cache=VerdictCache(sys.argv[2]))
picture = Picture.of(Image.new("RGB", (4, 4)))
with judging_threads() as threads:
    for number in range(40):
        question = PointQuestion(request=str(number), hints=(), picture=picture)
        threads.submit(judge.judge, [question])
    if sys.argv[3] == "sampling":
        time.sleep(60)
    if sys.argv[3] == "failure":
        sys.stdin.readline()
        raise OSError("no room")
"""


@pytest.mark.parametrize("when", ["sampling", "waiting", "failure"])
def test_a_program_ends_though_its_judge_hangs_and_what_it_was_told_is_kept(
    tmp_path: Path, when: str
):
    go_on = threading.Event()

    def hangs(body, number: int) -> Answer:
        if number >= 5:
            go_on.wait(60)
        return YES

    with serving(hangs) as server:
        with as_in_a_terminal():
            process = subprocess.Popen(
                [sys.executable, "-c", JUDGING, server.url, str(tmp_path / "kept"), when],
                stdin=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        until(lambda: len(server.requests) == 5 + JUDGED_AT_ONCE)
        began = time.monotonic()
        if when != "failure":
            process.send_signal(signal.SIGINT)
        _, errors = process.communicate("\n", timeout=60)
        # An attempt has 20 s, and there are three.
        assert time.monotonic() - began < 10
        go_on.set()
    ended_by = "OSError: no room" if when == "failure" else "KeyboardInterrupt"
    assert errors.strip().splitlines()[-1] == ended_by
    assert process.returncode == (1 if when == "failure" else -signal.SIGINT)
    assert len(server.requests) == 5 + JUDGED_AT_ONCE
    with VerdictCache(tmp_path / "kept") as kept:
        assert len(kept) == 5
