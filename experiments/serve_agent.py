"""The agent as a service: an image model to programs, a page to people.

``uv run experiments/serve_agent.py`` answers ``POST /v1/images/generations`` as an image server
does, with the last picture of an agent that draws, looks and reflects; requests of many clients run
side by side in one engine. Under ``/ui`` people watch its rounds and say what they think of them;
that is kept in the run's folder and in MLflow.

The miniature runs out of the box; ``flux-7b`` is Qwen2.5-VL-7B with FLUX. Leaves are options; a
run's ``config.json`` is a preset too. SIGTERM or Ctrl-C finishes what is in progress.
"""

from genagent_tracking import quit_on_interrupt

if __name__ == "__main__":
    quit_on_interrupt()  # the imports below take a second

import os
import sys
from dataclasses import dataclass, field
from typing import Annotated

import tyro

import genagent_serving as serving  # what loads torch is taken from it when it is needed
from genagent_data import Request
from genagent_miniworld import Miniature
from genagent_policy import PolicyConfig
from genagent_rollout import EngineConfig, SamplingConfig
from genagent_serving import AgentServerConfig
from genagent_tracking import (
    Flat,
    Run,
    RunConfig,
    TrackerConfig,
    print_line,
    refuse,
    run_experiment,
)
from genagent_worlds import FilesAndEndpoints


@dataclass(frozen=True, kw_only=True, slots=True)
class ServeConfig:
    """Which agent is served, and how."""

    world: Annotated[Miniature | FilesAndEndpoints, tyro.conf.AvoidSubcommands] = field(
        default_factory=Miniature
    )
    policy: Flat[PolicyConfig] = field(default_factory=PolicyConfig)
    server: Flat[AgentServerConfig] = field(default_factory=AgentServerConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    run: Flat[RunConfig] = field(default_factory=RunConfig)


# A server that is up for weeks has its machine looked at once a minute.
_TRACKER = TrackerConfig(system_seconds=60.0)
PRESETS = {
    "miniature": ServeConfig(run=RunConfig(threads=1, tracker=_TRACKER)),
    "flux-7b": ServeConfig(
        world=FilesAndEndpoints(tool="flux-8step", tool_device="cuda:1"),
        policy=PolicyConfig(policy="", device="cuda"),
        sampling=SamplingConfig(max_turn_tokens=2048, max_response_tokens=8192, max_batch=32),
        run=RunConfig(tracker=_TRACKER),
    ),
}


def main(config: ServeConfig, run: Run) -> None:
    """Serve until told to stop."""
    world, server = config.world, config.server
    refuse(
        [
            *config.policy.problems(world.policies),
            *world.tool_problems(),
            *config.engine.problems(config.sampling),
            *server.problems(),
        ]
    )
    from genagent_tools.server import bind

    listener = bind(server.listening())
    tool = world.open_tool()
    folder, words = config.policy.folder(world.policies), world.words_of(tool)
    engine = config.engine.load(
        config.policy, world.policies, config.sampling, run.folder, words=words
    )

    def problem(request: Request) -> str | None:
        room = {"words": words, "turn_tokens": config.sampling.max_turn_tokens}
        found = next(serving.request_problems([request], folder, **room), None)
        return found and found.removeprefix(f"{request.id}: ")

    def ready(url: str) -> None:
        print_line(f"{server.name} answers at {url}/v1, POST /images/generations")
        if server.page:
            print_line(f"the page: {url}/ui")

    with run.recording():
        feedback = run.folder / "feedback.jsonl"
        book = serving.FeedbackBook(feedback, run.tracker, run.pictures) if server.page else None
        served = serving.serve_agent(
            engine,
            tool,
            server,
            store=run.pictures,
            book=book,
            problem=problem,
            listener=listener,
            on_ready=ready,
        )
        run.finish(served.figures)
    if not served.at_rest:
        sys.stdout.flush()
        os._exit(0)


if __name__ == "__main__":
    run_experiment("serve_agent", main, ServeConfig, PRESETS)
