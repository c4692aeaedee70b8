"""Strategies as options. Nothing here loads torch, which takes seconds."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import tyro

from genagent_rewards import OpenAIChatConfig
from genagent_worlds import FrozenModels, TeacherEndpoints
from genagent_worlds.probes import chat_probes, look

if TYPE_CHECKING:
    from genagent_rollout.conversation import Engine
    from genagent_rollout.strategies.strategy import Strategy

StrategyName = Literal["plain", "rewrite", "first-prompt", "workflow", "agent", "best-of"]
Part = Literal["rewriter", "verifier", "writer"]
OF_POLICY = ("agent", "first-prompt")
"""Strategies that ask the policy."""
WITH_ROUNDS = ("workflow", "agent")
"""Strategies that a number of rounds means something to."""

_GREEDY = TeacherEndpoints(temperature=0.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class StrategyConfig:
    """How requests are answered, and by which models beside the policy.

    Example: ``StrategyConfig(strategies=("plain", "workflow"), writer=TeacherEndpoints(urls=
    "http://gpu1:8000/v1", model="qwen", temperature=0.0))``
    """

    strategies: Annotated[tuple[StrategyName, ...], tyro.conf.arg(name="strategy")] = ("agent",)
    """plain (the tool on the request's words), rewrite (by a model that sees nothing), first-prompt
    (the agent's), workflow (verify, reflect, draw again, so many times), agent, best-of."""
    rounds: tuple[int, ...] = (2,)
    """Pictures of each request: the agent's most, the workflow's number; each of several."""
    best_of: int = 4
    """Pictures of each request under best-of."""
    stop_when_right: bool = False
    """The workflow ends with a picture that its verifier takes for right."""
    workflow_first: Literal["request", "rewrite"] = "request"
    """The workflow's first prompt."""
    writer: TeacherEndpoints = field(default_factory=lambda: _GREEDY)
    """Writes the workflow's later prompts; does the rest too where no other model is named."""
    verifier: TeacherEndpoints = field(default_factory=lambda: _GREEDY)
    rewriter: TeacherEndpoints = field(default_factory=lambda: _GREEDY)
    """May be one that takes no pictures."""
    prompts: Path | None = None
    """Folder with rewrite.md, verify.md and reflect.md to ask with instead of ours."""

    def __post_init__(self) -> None:
        if not self.strategies:
            known = ", ".join(get_args(StrategyName))
            raise ValueError(f"strategies is (); name one or more of {known}")
        if len(set(self.strategies)) < len(self.strategies):
            raise ValueError(f"strategies is {self.strategies}; name each once")
        if not self.rounds or min(self.rounds) < 1 or len(set(self.rounds)) < len(self.rounds):
            raise ValueError(f"rounds is {self.rounds}; wants numbers of 1 or more, each once")
        if self.best_of < 1:
            raise ValueError(f"best_of is {self.best_of}; wants 1 picture or more")

    @property
    def parts(self) -> tuple[Part, ...]:
        """What models beside the policy are asked for."""
        workflow = "workflow" in self.strategies
        rewrite = "rewrite" in self.strategies or (workflow and self.workflow_first == "rewrite")
        return (("rewriter",) if rewrite else ()) + (("verifier", "writer") if workflow else ())

    @property
    def needs_policy(self) -> bool:
        """Whether an engine is asked."""
        return not set(OF_POLICY).isdisjoint(self.strategies)

    @property
    def ways(self) -> "list[tuple[StrategyName, int]]":
        """Name and pictures of each of what ``open`` gives, in its order."""
        pictures = {"best-of": (self.best_of,)}
        return [
            (name, rounds)
            for name in self.strategies
            for rounds in (self.rounds if name in WITH_ROUNDS else pictures.get(name, (1,)))
        ]

    def apart(self) -> "tuple[StrategyConfig | None, StrategyConfig | None]":
        """Those that ask no policy, and those that do."""
        without = tuple(name for name in self.strategies if name not in OF_POLICY)
        of_policy = tuple(name for name in self.strategies if name in OF_POLICY)
        return (
            replace(self, strategies=without) if without else None,
            replace(self, strategies=of_policy) if of_policy else None,
        )

    def part(self, name: Part) -> TeacherEndpoints:
        """A part's model: the writer in all that is left as it was."""
        return getattr(self, name).over(self.writer, plain=_GREEDY)

    def problems(self, *, stand_in: bool = False) -> list[str]:
        """What keeps strategies from working, a line each; endpoints are asked.

        Args:
            stand_in: whether the world has a model for what no endpoint is named for.
        """
        from genagent_rollout.strategies.chat_models import read_prompts

        lines: list[str] = []
        configs: dict[Part, OpenAIChatConfig] = {}
        for name in self.parts:
            endpoints = self.part(name)
            if not endpoints.urls:
                if not stand_in:
                    lines.append(
                        f"--{name}.urls is missing: {self._asker(name)} wants a model behind "
                        "OpenAI-compatible endpoints (http://host:8000/v1); --writer.urls names "
                        "one for everything"
                    )
            elif not endpoints.model:
                lines.append(f"--{name}.model is missing: the name by which endpoints know it")
            else:
                try:
                    configs[name] = endpoints.chat()
                except ValueError as error:
                    lines.append(f"--{name}: {error}")
        if self.prompts is not None and self.parts:
            try:
                read_prompts(self.prompts)
            except (ValueError, OSError) as error:
                lines.append(f"--prompts: {error}")
        return lines or look(
            [
                probe
                for name, config in configs.items()
                for probe in chat_probes(f"--{name}", config, sees=name != "rewriter")
            ]
        )

    def open(
        self,
        work: Path,
        *,
        engine: "Engine | None" = None,
        policy: str = "",
        stand_in: FrozenModels | None = None,
        words: int | None = None,
    ) -> "list[Strategy]":
        """The strategies, in the order they were named, each with every number of rounds where it
        has any.

        Args:
            work: folder in which what models say is kept as it comes.
            engine: where ``needs_policy``.
            policy: a name of what the engine samples: weights and sampling.
            stand_in: the world's models, for the parts that no endpoint is named for.
            words: of a prompt that the tool reads.

        Raises:
            ValueError: one of them cannot be had.
            OSError: ``work`` cannot be written, or a prompt file not be read.
        """
        from genagent_rollout.strategies.opening import Opening

        opening = Opening(self, work, engine=engine, policy=policy, stand_in=stand_in, words=words)
        return [opening.strategy(name, rounds) for name, rounds in self.ways]

    def _asker(self, part: Part) -> str:
        return "rewrite" if part == "rewriter" and "rewrite" in self.strategies else "workflow"
