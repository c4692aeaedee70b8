"""The HTTP tool on healthy servers: every call gets its own pictures, in each server's dialect."""

import gc
import random
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.http_server import dead_url
from tests.picture_server import (
    answering,
    drawn,
    expected,
    picture_answer,
    right,
    tool_for,
)
from tests.tools.painting import Painter, paint, serving

from genagent_tools import BatchConfig, DrawSettings, HttpToolConfig, ToolError


def split(pairs):
    return [prompt for prompt, _ in pairs], [seed for _, seed in pairs]


@settings(max_examples=15, deadline=None)
@given(
    calls=st.lists(
        st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2**31)), max_size=6),
        min_size=1,
        max_size=4,
    ),
    max_batch=st.integers(1, 5),
    workers=st.integers(1, 2),
)
def test_any_mixture_of_calls_gets_its_own_pictures_from_the_real_server(calls, max_batch, workers):
    batching = BatchConfig(max_batch=max_batch, max_wait_ms=2.0, max_queue=8)
    found = {}
    with (
        serving([Painter() for _ in range(workers)], batching=batching) as url,
        tool_for(url, max_concurrency=7) as tool,
    ):

        def call(index):
            found[index] = drawn(tool, *split(calls[index]))

        threads = [threading.Thread(target=call, args=(index,)) for index in range(len(calls))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == {index: expected(*split(pairs)) for index, pairs in enumerate(calls)}


def test_answers_find_their_prompts_in_whatever_order_they_come():
    pauses = random.Random(0)

    def script(body, number):
        time.sleep(pauses.uniform(0, 0.1))
        return right(body, number)

    prompts, seeds = [f"p{i}" for i in range(40)], list(range(40))
    with answering(script) as server, tool_for(server, max_concurrency=8) as tool:
        assert drawn(tool, prompts, seeds) == expected(prompts, seeds)
        assert 4 <= server.most_at_once <= 8
    assert tool.counts.pictures == 40


@pytest.mark.parametrize(
    ("dialect", "changes", "sent"),
    [
        (
            "openai",
            {"model": "gpt", "settings": DrawSettings(width=16, height=16)},
            {"model": "gpt", "size": "16x16"},
        ),
        (
            "vllm-omni",
            {
                "settings": DrawSettings(
                    width=16, height=16, steps=8, guidance=3.5, negative_prompt=" "
                ),
                "true_cfg": 4.0,
            },
            {
                "size": "16x16",
                "seed": 5,
                "num_inference_steps": 8,
                "guidance_scale": 3.5,
                "true_cfg_scale": 4.0,
                "negative_prompt": " ",
            },
        ),
        (
            "sglang",
            {
                "settings": DrawSettings(width=16, height=16, steps=8),
                "extra": {"generator_device": "cpu"},
            },
            {
                "size": "16x16",
                "width": 16,
                "height": 16,
                "seed": 5,
                "num_inference_steps": 8,
                "generator_device": "cpu",
            },
        ),
        ("genagent", {}, {"seed": 5}),
    ],
)
def test_each_dialect_sends_what_its_servers_know(dialect, changes, sent):
    with (
        answering(lambda body, number: picture_answer("x", 5)) as server,
        tool_for(server.url + "/v1/", dialect=dialect, **changes) as tool,
    ):
        assert drawn(tool, ["x"], [5]) == expected(["x"], [5])
    assert server.requests == [{"prompt": "x", "n": 1, "response_format": "b64_json", **sent}]


def test_our_own_server_takes_every_field_it_is_sent():
    look = DrawSettings(width=32, height=16, steps=2, guidance=1.5, negative_prompt="blue")
    painter = Painter()
    with serving(painter) as url, tool_for(url, settings=look, model="painter") as tool:
        [picture] = tool.generate(["x"], [5])
    seen = DrawSettings(width=32, steps=2, guidance=1.5, negative_prompt="blue")
    assert picture.tobytes() == paint("x", 5, seen).tobytes()


def test_a_full_queue_only_delays():
    batching = BatchConfig(max_batch=2, max_wait_ms=0.0, max_queue=2)
    with serving(Painter(), batching=batching) as url, tool_for(url, max_concurrency=12) as tool:
        assert drawn(tool, ["x"] * 24, range(24)) == expected(["x"] * 24, range(24))
        assert tool.counts.failures == 0


def test_nothing_asked_nothing_sent():
    with tool_for(dead_url()) as tool:
        assert tool.generate([], []) == []


def test_prompts_and_seeds_must_match_and_a_closed_tool_says_so():
    tool = tool_for(dead_url())
    with pytest.raises(ValueError, match="2 prompts but 1 seeds"):
        tool.generate(["a", "b"], [1])
    tool.close()
    tool.close()
    with pytest.raises(ValueError, match="the client is closed"):
        tool.generate(["a"], [1])


def client_threads_end():
    """Whether all do within some seconds."""
    give_up = time.monotonic() + 10
    while any("endpoints" in thread.name for thread in threading.enumerate()):
        if time.monotonic() > give_up:
            return False
        gc.collect()
        time.sleep(0.01)
    return True


def test_a_tool_that_nobody_uses_any_more_hangs_up(capfd):
    with answering() as server:
        tool = tool_for(server)
        assert drawn(tool, ["x"], [5]) == expected(["x"], [5])
        del tool
        assert client_threads_end()
    assert capfd.readouterr().err == ""


def test_a_tool_forgotten_with_a_request_on_its_way_hangs_up_after_it(capfd):
    go_on = threading.Event()

    def late(body, number):
        assert go_on.wait(10)
        return right(body, number)

    with answering(late) as server:
        tool = tool_for(server)
        drawing = tool._endpoints._loop.start(tool._draw_all(["x"], [5]))
        del tool
        go_on.set()
        [picture] = drawing.result()
        assert isinstance(picture, Image.Image)
        assert [picture.tobytes()] == expected(["x"], [5])
        del drawing, picture
        assert client_threads_end()
    assert capfd.readouterr().err == ""


def test_a_program_may_end_with_an_open_tool():
    program = (
        "from genagent_tools import HttpImageTool, HttpToolConfig\n"
        "tool = HttpImageTool(HttpToolConfig())\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_a_fork_of_the_program_may_end_with_the_tool_it_inherited():
    program = (
        "import os, sys\n"
        "from genagent_tools import HttpImageTool, HttpToolConfig\n"
        "tool = HttpImageTool(HttpToolConfig())\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    sys.exit(7)\n"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60)
    assert ended.returncode == 7


def test_a_token_is_read_from_the_environment(monkeypatch):
    monkeypatch.delenv("TOOL_KEY", raising=False)
    with pytest.raises(ValueError, match="the environment variable TOOL_KEY is not set"):
        tool_for(dead_url(), api_key_env="TOOL_KEY")
    token = "a-token-long-enough"
    monkeypatch.setenv("TOOL_KEY", token)
    with serving(Painter(), token=token) as url:
        with tool_for(url, api_key_env="TOOL_KEY") as tool:
            assert drawn(tool, ["x"], [5]) == expected(["x"], [5])
        with tool_for(url) as tool, pytest.raises(ToolError, match=r"401 .*as api_key_env"):
            tool.generate(["x"], [5])


def test_a_user_with_a_password_comes_from_the_environment_too(monkeypatch):
    monkeypatch.setenv("TOOL_KEY", "Basic bWU6cGFzcw==")
    with answering() as server, tool_for(server, api_key_env="TOOL_KEY") as tool:
        assert drawn(tool, ["x"], [5]) == expected(["x"], [5])
    assert server.keys == ["Basic bWU6cGFzcw=="]


def test_the_environments_proxy_is_used_but_for_hosts_that_it_excepts(monkeypatch):
    with answering() as proxy, answering() as server:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        for url in ("http://pictures.invalid:8000", server.url):
            with tool_for(url) as tool:
                assert drawn(tool, ["x"], [5]) == expected(["x"], [5])
    assert proxy.paths == ["http://pictures.invalid:8000/v1/images/generations"]
    assert server.paths == ["/v1/images/generations"]


@pytest.mark.parametrize(
    ("variable", "without_scheme"), [("http_proxy", True), ("all_proxy", False)]
)
def test_a_proxy_may_lack_its_scheme_or_be_for_all(monkeypatch, variable, without_scheme):
    monkeypatch.delenv("http_proxy", raising=False)
    with answering() as proxy, answering() as server:
        monkeypatch.setenv(variable, proxy.url.removeprefix("http://" if without_scheme else ""))
        monkeypatch.setenv("no_proxy", server.url.removeprefix("http://"))
        for url in ("http://pictures.invalid", server.url):
            with tool_for(url) as tool:
                assert drawn(tool, ["x"], [5]) == expected(["x"], [5])
    assert (len(proxy.requests), len(server.requests)) == (1, 1)


def test_a_proxy_of_another_kind_is_named(monkeypatch):
    monkeypatch.delenv("http_proxy", raising=False)
    monkeypatch.setenv("all_proxy", "socks5://me:secret@127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(ValueError, match=r"proxy for far:80 is of kind 'socks5'; name an http one"):
        tool_for("http://far")
    with answering() as server, tool_for(server) as tool:
        assert drawn(tool, ["x"], [5]) == expected(["x"], [5])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"base_urls": ()}, "base_urls is empty"),
        ({"base_urls": ("localhost:8000",)}, "'localhost:8000', which cannot be used"),
        ({"base_urls": ("http://[::1",)}, "cannot be used; wants http://host:port"),
        ({"base_urls": ("http://host:port",)}, "cannot be used"),
        ({"base_urls": ("http://host..net",)}, "cannot be used"),
        ({"base_urls": ("http://a:b@host",)}, "credentials or a query for host; put a token"),
        ({"base_urls": ("http://host", "http://host")}, "name each server once"),
        ({"dialect": "klingon"}, "dialect is 'klingon'; known: genagent, openai"),
        (
            {"dialect": "openai", "settings": DrawSettings(steps=4)},
            "'openai' has no num_inference_steps",
        ),
        ({"dialect": "openai", "true_cfg": 2.0}, "'openai' has no true_cfg_scale"),
        ({"settings": DrawSettings(width=16)}, "width and height go together"),
        ({"max_concurrency": 0}, "max_concurrency is 0"),
        ({"timeout_seconds": 0.0}, "timeout_seconds is 0.0"),
        ({"backoff_seconds": (-1.0, 1.0)}, "backoff_seconds is "),
    ],
)
def test_impossible_configurations_are_named(changes, says):
    with pytest.raises(ValueError, match=says):
        HttpToolConfig(**changes)
