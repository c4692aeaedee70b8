"""Who and what is studied, and how much of it; sections take their cells from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from genagent_study.cell import Cell, Here, Made

ONE_PICTURE = ("plain", "rewrite", "first-prompt")
"""Strategies that draw one picture."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """Policies and tools by name, and what every cell is told besides.

    Example: ``Subject(base="base", cold_start="sft", tool="flux-mini")``
    """

    base: str
    """The policy before the cold start."""
    cold_start: str
    """What RL begins with."""
    tool: str
    """With which it is trained."""
    other_tools: tuple[str, ...] = ()
    """That RL never uses."""
    cold_start_tool: str = ""
    """With which the cold start's trajectories were made."""
    weak_judges: Mapping[str, str] = field(default_factory=dict)
    """Those that can be deceived, by name, as ``--world.judge`` has them."""
    new_requests: str = ""
    """As ``--world.held-out`` has it: requests of a kind that no training has."""
    preset: tuple[str, ...] = ()
    """First words of each cell, such as another preset; options of the user's own, at the end."""
    options: tuple[str, ...] = ()

    @property
    def tools(self) -> tuple[str, ...]:
        return (self.tool, *self.other_tools)


@dataclass(frozen=True, kw_only=True, slots=True)
class Study:
    """A subject and its sizes."""

    subject: Subject
    seeds: tuple[int, ...]
    steps: int
    """Of RL."""
    held_out: int
    """Requests of an evaluation."""
    reward: tuple[str, ...] = ("--reward.single-round", "zero")
    """Options of the reward that *rl* is trained by; by default the paper's words, by which one
    picture earns no pair reward."""
    training: tuple[str, ...] = ()
    """Options of every training besides."""
    variants: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Options of rewards to set side by side, by name; the first is what others are held
    against."""
    quick: bool = False
    """Too small to prove anything; the page says so."""

    def __post_init__(self) -> None:
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds is {self.seeds}; wants one or more, each once")
        for name in ("steps", "held_out"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; wants 1 or more")

    def agent(self, seed: int) -> Cell:
        """The one that is studied: RL with the pair reward."""
        return self.trained("rl", *self.reward, seed=seed)

    def base(self, seed: int) -> Cell:
        """The policy that has learnt nothing of this."""
        name = self.subject.base
        return self.evaluated(name, policies=(name,), seed=seed)

    def plain(self, seed: int) -> Cell:
        """Every tool alone."""
        tools = self.subject.tools
        return self.evaluated("plain", strategies=("plain",), tools=tools, seed=seed)

    def trained(self, name: str, *options: str, seed: int, tool: str = "") -> Cell:
        """RL of the cold start, with an evaluation before and one after.

        Args:
            name: of what the options make of it, for people.
            options: of ``rl_flux.py``, as the command line has them.
            tool: the subject's by default.
        """
        subject = self.subject
        tool = tool or subject.tool
        words = [*subject.preset, "--policy", subject.cold_start, "--world.tool", tool]
        words += ["--steps", str(self.steps), "--held-out", str(self.held_out)]
        # 13 minutes for 40 steps and twice 450 requests, on a core without AVX-512.
        minutes = 0.3 + 0.27 * self.steps + 2 * 0.95 * self.held_out / 450
        return Cell(
            script="rl_flux.py",
            options=(*words, *self.training, *options, *subject.options),
            seed=seed,
            title=f"{name}, seed {seed}",
            minutes=minutes,
        )

    def evaluated(
        self,
        name: str,
        *,
        seed: int,
        strategies: tuple[str, ...] = ("agent",),
        tools: tuple[str, ...] = (),
        rounds: tuple[int, ...] = (2,),
        policies: tuple[str | Made, ...] = (),
        best_of: int = 2,
        options: tuple[str, ...] = (),
    ) -> Cell:
        """Answers to the held-out requests of the seed, scored: every strategy with every tool.

        Args:
            tools: the trained one by default.
            policies: the cold start by default; of those that were made, one at most.
            options: further ones of ``evaluate.py``.
        """
        subject = self.subject
        tools, policies = tools or (subject.tool,), policies or (subject.cold_start,)
        asked = sum(
            len(policies if strategy in ("agent", "first-prompt") else (1,))
            * (len(rounds) if strategy in ("agent", "workflow") else 1)
            * (0.5 if strategy in ONE_PICTURE else 1.0)
            for strategy in strategies
        )
        words = [*subject.preset, "--strategy", *strategies, "--rounds", *map(str, rounds)]
        words += ["--best-of", str(best_of), "--tools", *tools, "--held-out", str(self.held_out)]
        return Cell(
            script="evaluate.py",
            options=(
                *(*words, *options, "--policies", *policies),
                *("--out", Here(path="out"), *subject.options),
            ),
            seed=seed,
            title=f"{name}, seed {seed}",
            minutes=0.3 + 1.1 * asked * len(tools) * self.held_out / 450,
        )
