"""What a look at the servers costs, and what it says of those that are closed, slow or dead."""

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests import judge_server
from tests.http_server import Answer
from tests.judge_server import YES, refused_url, serving
from tests.picture_server import answering, paint, right
from tests.worlds.builders import RED

from genagent_rewards import PointQuestion
from genagent_tools import HttpImageTool
from genagent_worlds import FilesAndEndpoints

TOKEN = "only-in-the-environment"
MODELS = [{"id": "painter", "words": 60}]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    for name in ("train", "held"):
        (tmp_path / f"{name}.txt").write_text("a cat\n")
    return {"train": tmp_path / "train.txt", "held_out": tmp_path / "held.txt"}


def timed(work: Callable[[], list[str]]) -> tuple[list[str], float]:
    """What came of it, and after how many seconds."""
    begun = time.monotonic()
    return work(), time.monotonic() - begun


def test_servers_that_want_a_token_get_it_from_the_options_or_name_them(
    files, tmp_path, monkeypatch
):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("WORLD_TOKEN", TOKEN)
    with answering(token=TOKEN, models=MODELS) as images, serving(YES) as judge:
        judge.token = TOKEN
        config = FilesAndEndpoints(**files, tool=images.url, judge=judge.url, judge_model="eyes")
        tool, chat = config.problems()
        assert tool.startswith(f"the image server {images.url} does not draw; ")
        assert "401 who are you" in tool and "--world.tool-token-env" in tool
        assert chat.startswith(f"{judge.url} does not answer for model 'eyes'")
        assert "who are you" in chat and "--world.judge-key-env" in chat
        assert "\n" not in tool + chat

        config = FilesAndEndpoints(
            **files,
            tool=images.url,
            tool_token_env="WORLD_TOKEN",
            judge=judge.url,
            judge_model="eyes",
            judge_key_env="WORLD_TOKEN",
        )
        assert config.problems() == []
        world = config.open(tmp_path / "run", seed=0)
        assert world.words == 60
        assert isinstance(world.tool, HttpImageTool)
        with world.tool as drawing:
            [picture] = drawing.generate(["a cat"], [3])
        assert picture.tobytes() == paint("a cat", 3).tobytes()
        question = PointQuestion(request="red", hints=(), picture=RED)
        [verdict] = world.judges.point.judge([question])
        assert verdict is not None and verdict.choice == "yes"


def test_a_judges_url_without_a_path_is_told_apart_from_one_that_is_dead(files):
    with answering() as images:
        for given in ("http://judge:8000", "http://judge:8000/"):
            config = FilesAndEndpoints(**files, tool=images.url, judge=given, judge_model="eyes")
            assert config.problems() == [
                f"base_urls has {given!r}, which has no path; wants http://judge:8000/v1"
            ]


def test_dead_servers_are_known_at_once(files):
    dead = refused_url()
    config = FilesAndEndpoints(
        **files, tool=dead.removesuffix("/v1"), judge=dead, judge_model="eyes"
    )
    config.problems()  # The first look imports the judge's client.
    lines, seconds = timed(config.problems)
    assert len(lines) == 2
    assert seconds < 10


def test_each_server_that_is_dead_is_named(files):
    draw, ask = ([refused_url() for _ in range(2)] for _ in range(2))
    with answering() as images, serving(YES) as judge:
        config = FilesAndEndpoints(
            **files,
            tool=",".join([draw[0], images.url, draw[1]]),
            judge=",".join([ask[0], judge.url, ask[1]]),
            judge_model="eyes",
        )
        lines = config.problems()
    assert [" ".join(line.split()[:4]) for line in lines[:2]] == [
        f"the image server {url}" for url in draw
    ]
    assert [line.split()[0] for line in lines[2:]] == ask


def test_a_fault_that_all_servers_share_is_one_line(files, monkeypatch):
    monkeypatch.delenv("NO_SUCH_TOKEN", raising=False)
    with answering() as one, answering() as two, serving(YES) as judge:
        config = FilesAndEndpoints(
            **files,
            tool=f"{one.url},{two.url}",
            tool_token_env="NO_SUCH_TOKEN",
            judge=judge.url,
            judge_model="eyes",
        )
        assert config.problems() == [
            "the environment variable NO_SUCH_TOKEN is not set; put the token in it"
        ]


def test_all_servers_are_looked_at_at_the_same_time(files):
    meet = threading.Barrier(4, timeout=20)

    def draws_when_all_are_there(body: dict[str, Any], number: int) -> Answer:
        meet.wait()
        return right(body, number)

    def judges_when_all_are_there(body: dict[str, Any], number: int) -> judge_server.Answer:
        meet.wait()
        return YES

    with (
        answering(draws_when_all_are_there) as one,
        answering(draws_when_all_are_there) as two,
        serving(judges_when_all_are_there) as three,
        serving(judges_when_all_are_there) as four,
    ):
        config = FilesAndEndpoints(
            **files,
            tool=f"{one.url},{two.url}",
            judge=f"{three.url},{four.url}",
            judge_model="eyes",
        )
        # Nobody answers before all four were asked.
        assert config.problems() == []


def test_a_server_that_takes_requests_and_never_answers_is_given_up(files):
    with socket.create_server(("127.0.0.1", 0)) as hung, serving(YES) as judge:
        url = f"http://127.0.0.1:{hung.getsockname()[1]}"
        config = FilesAndEndpoints(
            **files, tool=url, tool_probe_seconds=0.3, judge=judge.url, judge_model="eyes"
        )
        lines, seconds = timed(config.problems)
    assert lines == [
        f"the image server {url} does not draw within 0.3 s; wait until it does, or allow it more "
        "with --world.tool-probe-seconds"
    ]
    assert seconds < 20


def test_a_slow_server_that_draws_is_waited_for(files):
    def draw_slowly(body: dict[str, Any], number: int) -> Answer:
        time.sleep(0.6)
        return right(body, number)

    with answering(draw_slowly) as slow, serving(YES) as judge:
        config = FilesAndEndpoints(**files, tool=slow.url, judge=judge.url, judge_model="eyes")
        assert config.tool_probe_seconds == 60
        assert config.problems() == []
        assert slow.paths == ["/v1/images/generations"]
