"""What the built parts can do on held-out requests; the table that ships beside the weights."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from genagent_data import PictureStore, Request
from genagent_miniworld.conditions import parse_hints
from genagent_miniworld.grammar import sample_requests
from genagent_miniworld.reading import read
from genagent_miniworld.scene import caption
from genagent_miniworld.teacher import solve
from genagent_miniworld.verifier import Verifier
from genagent_miniworld.world import GrammarRequests
from genagent_policy import Policy
from genagent_rollout import LocalEngine, evaluate
from genagent_tools import ImageTool
from genagent_worlds import Judges, Outcome, Rate, World, rate

FEW = 4
"""Items up to which the tool is expected to obey an explicit prompt."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One line of the table. Example: ``Figure(part="sft", what="format errors", rate=…)``"""

    part: str
    what: str
    rate: Rate


def tool_figures(name: str, tool: ImageTool, *, count: int, seed: int) -> list[Figure]:
    """How often the tool obeys an explicit prompt, and the bare request."""
    requests = sample_requests(count, seed=seed, split="held-out")
    specs = [parse_hints(request.hints) for request in requests]
    rng = random.Random(seed)
    explicit = [caption(solve(spec, rng), sizes=spec.names_sizes) for spec in specs]
    figures = []
    for kind, prompts in (
        ("explicit prompt", explicit),
        ("bare request", [request.prompt for request in requests]),
    ):
        pictures = tool.generate(prompts, range(len(prompts)))
        passed = [spec.met(read(p)) for spec, p in zip(specs, pictures, strict=True)]
        few = [ok for ok, spec in zip(passed, specs, strict=True) if spec.size <= FEW]
        figures.append(_figure(name, f"{kind}, up to {FEW} items", few))
        for size in sorted({spec.size for spec in specs}):
            chosen = [ok for ok, spec in zip(passed, specs, strict=True) if spec.size == size]
            figures.append(_figure(name, f"{kind}, {size} items", chosen))
    return figures


def policy_figures(
    name: str,
    policy: Policy,
    tool: ImageTool,
    requests: Sequence[Request],
    *,
    seed: int,
    store: PictureStore,
) -> list[Figure]:
    """Success, what reflection adds, errors, and how well the agent reads pictures."""
    outcomes = evaluate_truly(policy, tool, requests, seed=seed, max_rounds=3, store=store)
    agreements = [agreed for outcome in outcomes for agreed in outcome.agreements]
    return [
        _figure(name, "success, last picture", [o.success for o in outcomes]),
        _figure(name, "success, first picture", [o.first_success for o in outcomes]),
        _figure(name, "turns with a format error", turn_errors(outcomes)),
        _figure(name, "judgements that agree with the verifier", agreements),
    ]


def evaluate_truly(
    policy: Policy,
    tool: ImageTool,
    requests: Sequence[Request],
    *,
    seed: int,
    max_rounds: int,
    store: PictureStore,
) -> list[Outcome]:
    """One attempt at each request, by the exact verifier."""
    truth = Judges(point=Verifier(), pair=Verifier())
    world = World(train=GrammarRequests(), held_out=(), tool=tool, judges=truth, truth=truth)
    engine = LocalEngine(policy)
    return evaluate(engine, world, requests, seed=seed, max_rounds=max_rounds, pictures=store)


def turn_errors(outcomes: Sequence[Outcome]) -> list[bool]:
    """For each turn, whether it broke the protocol; only the last of a trajectory can."""
    errors = []
    for outcome in outcomes:
        ending = outcome.trajectory.ending
        turns = len(outcome.trajectory.rounds) + (ending != "tool_failure")
        broken = ending == "format_error"
        errors += [False] * (turns - 1) + [broken]
    return errors


def markdown(figures: Sequence[Figure], facts: Mapping[str, str]) -> str:
    """The table as a page, with the facts of the build above it."""
    lines = ["# The miniature's weights", "", *(f"- {k}: {v}" for k, v in facts.items()), ""]
    lines += ["| part | on held-out requests | share [95 % interval] | of |", "|---|---|---|---|"]
    lines += [f"| {f.part} | {f.what} | {f.rate} | {f.rate.trials} |" for f in figures]
    return "\n".join(lines) + "\n"


def _figure(part: str, what: str, values: Sequence[bool | None]) -> Figure:
    return Figure(part=part, what=what, rate=rate(values))
