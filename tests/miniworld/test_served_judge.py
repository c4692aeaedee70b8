"""The shipped judge behind a real chat server, asked as Qwen3-VL would be at paper scale."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError

import pytest

from genagent_miniworld import (
    Verifier,
    parse_hints,
    random_scene,
    render,
    sample_requests,
    solve,
    weights,
)
from genagent_rewards import (
    OpenAIChat,
    OpenAIChatConfig,
    PairQuestion,
    PairwiseJudge,
    Picture,
    PointQuestion,
    PointwiseJudge,
    Verdict,
)

JUDGE = weights("judge-mini")
REQUESTS = sample_requests(24, seed=11, split="held-out")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
]


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAIChat]:
    """A client of ``transformers serve`` with the judge's folder, on a free port of loopback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("served") / "server.log"
    command = [str(Path(sys.executable).parent / "transformers"), "serve", str(JUDGE)]
    command += ["--device", "cpu", "--dtype", "float32"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        try:
            _wait_until_ready(server, f"http://127.0.0.1:{port}/health", log)
            yield OpenAIChat(
                OpenAIChatConfig(
                    base_urls=(f"http://127.0.0.1:{port}/v1",),
                    model=str(JUDGE),
                    max_concurrency=4,
                    max_attempts=3,
                    timeout_seconds=120.0,
                    max_tokens=384,
                )
            )
        finally:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _wait_until_ready(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        assert server.poll() is None, f"the server has ended:\n{log.read_text()[-3000:]}"
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (URLError, ConnectionError, TimeoutError):
            time.sleep(0.5)
    pytest.fail(f"the server is not ready after 300 s:\n{log.read_text()[-3000:]}")


def agreement(found: list[Verdict | None], expected: list[Verdict | None]) -> float:
    pairs = zip(found, expected, strict=True)
    return sum(bool(a and b and a.choice == b.choice) for a, b in pairs) / len(found)


def test_the_served_judge_agrees_with_the_verifier(chat: OpenAIChat):
    rng = random.Random(5)
    points: list[PointQuestion] = []
    pairs: list[PairQuestion] = []
    for number, request in enumerate(REQUESTS):
        good = Picture.of(render(solve(parse_hints(request.hints), rng), seed=number))
        other = Picture.of(render(random_scene(rng, rng.randint(1, 5)), seed=number))
        asked = {"request": request.prompt, "hints": request.hints}
        points.append(PointQuestion(picture=good if number % 2 else other, **asked))
        first, second = (good, other) if number % 4 < 2 else (other, good)
        pairs.append(PairQuestion(first=first, second=second, **asked))
    chat.check()
    verifier, point_judge, pair_judge = Verifier(), PointwiseJudge(chat), PairwiseJudge(chat)
    verdicts = point_judge.judge(points)
    assert agreement(verdicts, verifier.judge(points)) >= 0.8
    assert agreement(pair_judge.compare(pairs), verifier.compare(pairs)) >= 0.8
    counts = point_judge.take_counts(), pair_judge.take_counts()
    assert [count.asked for count in counts] == [len(REQUESTS)] * 2
    assert all(verdict is None or verdict.reason for verdict in verdicts)
    assert chat.counts.attempts >= 2 * len(REQUESTS)
