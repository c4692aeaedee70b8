"""The miniature as a world: its requests, tools, judge and exact truth."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from genagent_data import Request, derive_seed
from genagent_miniworld.conditions import parse_hints
from genagent_miniworld.grammar import sample_requests
from genagent_miniworld.load import POLICIES, load_judge, quietly, weights
from genagent_miniworld.verifier import Verifier
from genagent_tools import ImageTool
from genagent_worlds import FileRequests, Judges, Services, World, chat_judges, requests_from

HELD_OUT = 900
"""Held-out requests on offer, a hundred of each task; ``count`` has few more."""
TOOL = "flux-mini"
JUDGE = "judge-mini"
VERIFIER = "verifier"


@dataclass(frozen=True, kw_only=True, slots=True)
class Miniature(Services):
    """Simple scenes, whose truth is known exactly. Needs no download and no GPU."""

    kind: Annotated[Literal["miniature"], tyro.conf.Suppress] = "miniature"
    train: Path | None = None
    """File of training requests with hints that the verifier can check, or module:callable, which
    gives a list of them; the grammar's own by default."""
    held_out: Path | None = None
    """File of requests for the evaluations, likewise."""
    tool: str = TOOL
    """What draws: flux-mini, sana-mini, qwen-image-mini, or whatever else draws (image servers
    with commas between, a profile, module:callable)."""
    tool_device: str = "cpu"
    """Where a profile's pipeline runs."""
    tool_words: int | None = None
    """Words of a prompt that the tool reads, told to the agent; nothing is said by default, for the
    policies that ship with the miniature were not trained to hear of it."""
    judge: str = JUDGE
    """Whose verdicts are paid for: judge-mini, verifier (the truth itself), or another judge
    (endpoints with commas between, a model folder, module:callable)."""
    judge_device: str = "cpu"
    """Where a judge from a folder runs."""

    @property
    def policies(self) -> Mapping[str, Path]:
        """``base``, which speaks the protocol unreliably, and ``sft``, the cold start."""
        return {name: weights(name) for name in POLICIES}

    def problems(self, *, ask_servers: bool = True) -> list[str]:
        """See ``WorldConfig``."""
        return [
            *(line for path in (self.train, self.held_out) for line in _unfit(path)),
            *Services.problems(self, ask_servers=ask_servers),
        ]

    def open(self, run_folder: Path, *, seed: int) -> World:
        """See ``WorldConfig``."""
        tool = self.open_tool()
        judges = self.open_judges(cache=run_folder / "verdicts.sqlite")
        truth = judges if self.judge == VERIFIER else Judges(point=Verifier(), pair=Verifier())
        train = GrammarRequests() if self.train is None else FileRequests(requests_from(self.train))
        if self.held_out is None:
            held_out = sample_requests(HELD_OUT, seed=derive_seed(seed, 1), split="held-out")
        else:
            held_out = requests_from(self.held_out)
        return World(
            train=train,
            held_out=tuple(held_out),
            tool=tool,
            words=self.words_of(tool),
            judges=judges,
            truth=truth,
            policies=self.policies,
        )

    def open_tool(self) -> ImageTool:
        """See ``Services``."""
        quietly()
        return Services.open_tool(self)

    def open_judges(self, *, cache: Path) -> Judges:
        """See ``Services``."""
        if self.judge == VERIFIER:
            return Judges(point=Verifier(), pair=Verifier())
        if self.judge == JUDGE:
            return chat_judges(load_judge(), cache=cache)
        return Services.open_judges(self, cache=cache)

    def unjudged(self, requests: Sequence[Request], *, source: Path) -> Iterator[str]:
        """See ``Services``: the verifier wants hints that it can check."""
        if self.judge == VERIFIER:
            yield from _unverifiable(
                requests, source, remedy="take --world.judge judge-mini or another judge"
            )

    @property
    def asking(self) -> tuple[str, ...]:
        """See ``Services``."""
        return () if self.tool == TOOL else ("--world.tool", self.tool)

    def words_of(self, tool: ImageTool) -> int | None:
        """The option alone: see ``tool_words``."""
        return self.tool_words

    def _judge_problems(self) -> Iterator[str]:
        if self.judge not in (JUDGE, VERIFIER):
            yield from Services._judge_problems(self)


class GrammarRequests:
    """Training requests without end."""

    def sample(self, n: int, *, seed: int, step: int = 0) -> list[Request]:
        """See ``Requests``."""
        return sample_requests(n, seed=derive_seed(seed, "requests", step), split="train")


def _unfit(path: Path | None) -> Iterator[str]:
    """A line where a file's requests cannot be read or their truth cannot be known."""
    if path is None:
        return
    try:
        requests = requests_from(path)
    except (ValueError, OSError) as error:
        yield str(error)
        return
    yield from _unverifiable(
        requests, path, remedy="for requests of another kind take the preset flux-7b"
    )


def _unverifiable(requests: Sequence[Request], source: Path, *, remedy: str) -> Iterator[str]:
    for request in requests:
        try:
            parse_hints(request.hints)
        except ValueError as error:
            yield f"{source}: request {request.id!r}: {error}; {remedy}"
            return
