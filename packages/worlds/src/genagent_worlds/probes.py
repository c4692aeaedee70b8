"""A look at each server before anything is at stake: does it draw, does it judge?

Servers that hang are given up after a minute or two, so all are looked at at the same time.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial

from genagent_rewards import OpenAIChat, OpenAIChatConfig
from genagent_tools import HttpImageTool, HttpToolConfig, ToolError

PROMPT = "a red circle on a white background"

Probe = Callable[[], str | None]
"""A line of what is wrong; None where nothing is."""


def tool_probes(config: HttpToolConfig, *, seconds: float) -> list[Probe]:
    """One for each image server: it draws a picture within ``seconds``."""
    patience = {"max_attempts": 1, "timeout_seconds": seconds, "deadline_seconds": seconds}
    return [
        partial(_draw_once, url, replace(config, base_urls=(url,), **patience))
        for url in config.base_urls
    ]


def judge_probes(config: OpenAIChatConfig) -> list[Probe]:
    """One for each endpoint: it answers when it is shown a picture."""
    return [partial(_ask_once, replace(config, base_urls=(url,))) for url in config.base_urls]


def chat_probes(option: str, config: OpenAIChatConfig, *, sees: bool = True) -> list[Probe]:
    """One for each endpoint of a model whose options begin with ``option``.

    Args:
        sees: whether it is shown pictures; one that only writes need not take any.
    """
    options = ", ".join(f"{option}.{name}" for name in ("urls", "model", "token-env"))
    return [
        partial(_ask_once, replace(config, base_urls=(url,)), options, sees=sees)
        for url in config.base_urls
    ]


def look(probes: Sequence[Probe]) -> list[str]:
    """What they find, each line once, in their order."""
    found: list[Future[str | None]] = [Future() for _ in probes]

    def run(probe: Probe, line: Future[str | None]) -> None:
        try:
            line.set_result(probe())
        except BaseException as error:  # raised where the lines are read
            line.set_exception(error)

    for probe, line in zip(probes, found, strict=True):
        # Ctrl-C ends daemons with the program; a pool's threads would be waited for.
        threading.Thread(target=run, args=(probe, line), daemon=True).start()
    lines = [line.result() for line in found]
    # Words of a server may be a page.
    return list(dict.fromkeys(" ".join(line.split()) for line in lines if line is not None))


def _draw_once(url: str, alone: HttpToolConfig) -> str | None:
    begun, seconds = time.monotonic(), alone.timeout_seconds
    try:
        with HttpImageTool(alone) as tool:
            tool.generate([PROMPT], [0])
    except ToolError as error:
        if time.monotonic() - begun >= seconds:
            return (
                f"the image server {url} does not draw within {seconds:g} s; wait until it does, "
                "or allow it more with --world.tool-probe-seconds"
            )
        options = "--world.tool, --world.tool-model and --world.tool-token-env"
        return f"the image server {url} does not draw; start it, or check {options} ({error})"
    except ValueError as error:
        return str(error)
    return None


def _ask_once(
    alone: OpenAIChatConfig,
    options: str = "--world.judge, --world.judge-model and --world.judge-key-env",
    *,
    sees: bool = True,
) -> str | None:
    try:
        OpenAIChat(alone).check(sees=sees)
    except ValueError as error:
        return f"{error}: {options}"
    return None
