"""Which image generator draws and which model judges: servers, models in this process, own code.

A service is named by one text: URLs with commas between, the name of something known here, or
``module:callable``, which is imported and called without arguments. What that gives draws
(``ImageTool``), or judges and compares (``JudgesPictures`` and ``ComparesPictures``, or a
``Judges`` of one of each).
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from genagent_data import Request, SynthesisServices
from genagent_endpoints import public_url
from genagent_rewards import (
    ChatModel,
    LocalChat,
    OpenAIChat,
    PairwiseJudge,
    PointwiseJudge,
    VerdictCache,
)
from genagent_tools import HttpImageTool, ImageTool, ToolError
from genagent_tools.devices import device_problem
from genagent_tools.loading import Overrides, known_profiles, load_tools
from genagent_tools.tool_profile import ToolProfile
from genagent_worlds.kept_pictures import served_by
from genagent_worlds.own_code import call, is_code, missing, own_problems
from genagent_worlds.probes import Probe, judge_probes, look, tool_probes
from genagent_worlds.service_names import (
    answers_freely,
    is_url,
    kept_name,
)
from genagent_worlds.service_options import ServiceOptions
from genagent_worlds.world import Judges, World

logger = logging.getLogger("genagent_worlds")

TOOL_METHODS = ("generate",)
JUDGE_METHODS = ("judge", "compare")


@dataclass(frozen=True, kw_only=True, slots=True)
class Services(ServiceOptions):
    """A tool and a judge, by name."""

    def problems(self, *, ask_servers: bool = True) -> list[str]:
        """What keeps them from working, a line each; no model is loaded.

        Args:
            ask_servers: whether they are there to be tried out.
        """
        lines = list(self._tool_problems())
        # Servers that hang are given up after a minute or two: all are looked at side by side.
        probes = [] if lines else self._tool_probes()
        if known := list(self._judge_problems()):
            lines += known
        else:
            probes += self._judge_probes()
        return [*lines, *(look(probes) if ask_servers else ())]

    def tool_problems(self) -> list[str]:
        """The same of the tool alone, for callers that judge nothing."""
        return list(self._tool_problems()) or look(self._tool_probes())

    def judge_problems(self) -> list[str]:
        """The same of the judge alone, for callers that judge what has been drawn."""
        return list(self._judge_problems()) or look(self._judge_probes())

    def open_tool(self) -> ImageTool:
        """The tool, ready to draw. Raises ValueError where it cannot be had."""
        if is_url(self.tool):
            servers = self.image_servers()
            if not servers.takes_seeds:
                logger.warning(
                    "image servers of dialect %s take no seed: the same prompt draws another "
                    "picture each time, and what is drawn twice is no repetition",
                    servers.dialect,
                )
            return HttpImageTool(servers)
        if is_code(self.tool):
            tool = call(self.tool)
            for line in missing(f"tool {self.tool}", tool, *TOOL_METHODS):
                raise ValueError(line)
            return tool  # pyright: ignore[reportReturnType] (a protocol; its member is there)
        [tool] = load_tools(self.tool, None, Overrides(), [self.tool_device])
        return tool

    def words_of(self, tool: ImageTool) -> int | None:
        """Words of a prompt that the tool reads: the option, or else what the profile says that it
        has here or at its servers. Raises ValueError where a server does not answer."""
        if self.tool_words is not None:
            return self.tool_words
        if isinstance(tool, HttpImageTool):
            try:
                return tool.words()
            except ToolError as error:
                raise ValueError(
                    f"the image server does not say how many words it reads ({error}); start it, "
                    "or give --world.tool-words"
                ) from error
        profile = getattr(tool, "profile", None)
        return profile.words if isinstance(profile, ToolProfile) else None

    def open_judges(self, *, cache: Path) -> Judges:
        """The judges, their verdicts kept in the file ``cache``.

        Raises:
            ValueError: the judge cannot be had, or the cache is damaged.
        """
        if is_code(self.judge):
            judges = call(self.judge)
            if isinstance(judges, Judges):
                return judges
            for line in missing(f"judge {self.judge}", judges, *JUDGE_METHODS):
                raise ValueError(line)
            return Judges(point=judges, pair=judges)  # pyright: ignore[reportArgumentType] (as above)
        if is_url(self.judge):
            return chat_judges(OpenAIChat(self.judge_endpoints()), cache=cache)
        chat = LocalChat.load(
            self.judge,
            device=self.judge_device,
            max_tokens=self.judge_tokens,
            batch_size=self.judge_batch,
        )
        return chat_judges(chat, cache=cache)

    def unjudged(self, requests: Sequence[Request], *, source: Path) -> Iterator[str]:
        """Lines for requests that the judge cannot judge; a chat model judges all.

        Args:
            source: their file, to be named.
        """
        yield from ()

    def for_synthesis(self, world: World) -> SynthesisServices:
        """What draws and what judges in that world, each under a name that what it made is kept
        by. Raises ValueError where an image server does not answer."""
        kept = kept_name(self.tool, self.tool_model)
        return SynthesisServices(
            tool=world.tool,
            tool_name=" ".join(filter(None, (kept, served_by(world.tool)))),
            point=world.judges.point,
            pair=world.judges.pair,
            judge_name=self.judge_name,
            at_once=world.judges.at_once,
            words=world.words,
        )

    def _judge_probes(self) -> list[Probe]:
        return judge_probes(self.judge_endpoints()) if is_url(self.judge) else []

    def _tool_probes(self) -> list[Probe]:
        if not is_url(self.tool):
            return []
        return tool_probes(self.image_servers(), seconds=self.tool_probe_seconds)

    def _tool_problems(self) -> Iterator[str]:
        if self.tool_words is not None and self.tool_words < 1:
            yield f"--world.tool-words is {self.tool_words}; wants 1 or more"
        if not self.tool:
            yield (
                "--world.tool is missing: give image servers (http://host:8000, which "
                "`genagent-tools serve` starts), a profile of `genagent-tools profiles`, or "
                "module:callable"
            )
        elif is_url(self.tool):
            yield from _tried(self.image_servers)
        elif is_code(self.tool):
            yield from own_problems("tool", self.tool, *TOOL_METHODS)
        elif self.tool not in known_profiles():
            known = ", ".join(known_profiles())
            name = public_url(self.tool)
            yield f"no tool {name!r}; give a URL, module:callable or one of {known}"
        else:
            yield from _device_problems("--world.tool-device", self.tool_device)

    def _judge_problems(self) -> Iterator[str]:
        if not self.judge:
            yield (
                "--world.judge is missing: give OpenAI-compatible endpoints (http://host:8000/v1), "
                "a model folder, or module:callable"
            )
        elif is_url(self.judge) and not self.judge_model:
            where = public_url(self.judge)
            yield f"--world.judge-model is missing: the name by which {where} knows the judge"
        elif is_url(self.judge):
            yield from _tried(self.judge_endpoints)
        elif is_code(self.judge):
            yield from own_problems("judge", self.judge, *JUDGE_METHODS)
        elif not answers_freely(self.judge):
            name = public_url(self.judge)
            yield f"no judge {name!r}; give a URL, a model folder or module:callable"
        else:
            yield from _device_problems("--world.judge-device", self.judge_device)


def chat_judges(chat: ChatModel, *, cache: Path) -> Judges:
    """One model as both judges, with one cache for both."""
    kept = VerdictCache(cache)
    return Judges(
        point=PointwiseJudge(chat, cache=kept),
        pair=PairwiseJudge(chat, cache=kept),
        at_once=isinstance(chat, OpenAIChat),
    )


def _device_problems(option: str, device: str) -> Iterator[str]:
    problem = device_problem(device)
    if problem is not None:
        yield f"{option} is {problem}"


def _tried(attempt: Callable[[], object]) -> Iterator[str]:
    try:
        attempt()
    except ValueError as error:
        yield " ".join(str(error).split())
