"""The agent at work: a picture for a request, or for each request of a file.

``uv run experiments/generate.py "a photo of five clocks"`` shows the rounds as they happen and
leaves pictures, a contact sheet and a page behind. ``--file requests.jsonl`` answers many side by
side; with the same ``--out`` the same command goes on, however it was ended, and repeats nothing.

The miniature runs out of the box; ``flux-7b "…" --policy FOLDER --world.tool http://gpu1:8000`` is
the same with real models. No judge is asked.
"""

from genagent_tracking import quit_on_interrupt

if __name__ == "__main__":
    quit_on_interrupt()  # the imports below take a second

import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

import genagent_serving as serving  # what loads torch is taken from it when it is needed
from genagent_data import Request
from genagent_miniworld import Miniature
from genagent_policy import PolicyConfig
from genagent_rollout import EngineConfig, SamplingConfig
from genagent_serving.generation_folder import GenerationFolder
from genagent_tracking import (
    Flat,
    TrackerConfig,
    config_to_json,
    error_line,
    exit_code,
    make_run_folder,
    print_line,
    quiet_libraries,
    raise_on_interrupt,
    read_config,
    refuse,
    set_threads,
    stop,
    waiting,
)
from genagent_tracking.run_name import changed_options
from genagent_weights import fingerprint
from genagent_worlds import FilesAndEndpoints, served_by


@dataclass(frozen=True, kw_only=True, slots=True)
class GenerateConfig:
    """Everything the pictures depend on, and where they go."""

    prompt: tyro.conf.Positional[str] = ""
    """What to draw."""
    file: Path | None = None
    """Requests instead: .jsonl or .json (prompt, id, …), or one prompt a line."""
    out: Path | None = None
    """Folder for pictures and pages, to go on with too; runs/generate-<time> by default."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Standard output is a line of JSON a request and nothing else."""
    world: Annotated[Miniature | FilesAndEndpoints, tyro.conf.AvoidSubcommands] = field(
        default_factory=Miniature
    )
    policy: Flat[PolicyConfig] = field(default_factory=PolicyConfig)
    max_rounds: int = 3
    """Pictures the agent may draw for a request."""
    seed: int = 0
    """A request's words and pictures follow from it and from the request's id alone."""
    threads: int = 0
    """CPU threads that torch computes with; 0: as many as there are cores."""
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    tracker: TrackerConfig = field(default_factory=TrackerConfig)

    def __post_init__(self) -> None:
        if self.max_rounds < 1:
            raise ValueError(f"max_rounds is {self.max_rounds}; wants 1 or more")
        if self.threads < 0:
            raise ValueError(f"threads is {self.threads}; wants 1 or more, or 0 for torch's own")
        if seconds := self.tracker.system_seconds:
            raise ValueError(f"tracker.system_seconds is {seconds:g}; wants 0, nothing is watched")


PRESETS = {
    "miniature": GenerateConfig(threads=1),
    "flux-7b": GenerateConfig(
        world=FilesAndEndpoints(tool="flux-8step", tool_device="cuda:1"),
        policy=PolicyConfig(policy="", device="cuda"),
        sampling=SamplingConfig(max_turn_tokens=2048, max_response_tokens=8192, max_batch=32),
    ),
}

PROG = f"generate.py [{' | '.join(PRESETS)} | config.json] [--resume]"
MAY_DIFFER = (
    *("prompt", "file", "out", "json", "threads", "engine", "sampling.max_batch", "tracker"),
    *("policy.device", "policy.attention", "policy.checkpoint_activations"),
    *("world.tool_device", "world.tool_concurrency", "world.tool_token_env"),
    *("world.tool_probe_seconds", "world.train", "world.held_out", "world.judge"),
    *("world.judge_device", "world.judge_model", "world.judge_concurrency"),
    *("world.judge_tokens", "world.judge_seconds", "world.judge_body", "world.judge_key_env"),
)
"""Options that may differ when a folder is continued: none changes a picture by more than float
noise."""


def run(arguments: Sequence[str]) -> int:
    """The command line; returns the exit code."""
    quiet_libraries()
    try:
        words = [word for word in arguments if word != "--resume"]  # every start with --out resumes
        config = read_config(GenerateConfig, PRESETS, with_preset(words), prog=PROG)
        if len(words) < len(arguments) and config.out is None:
            raise ValueError("--resume goes on in a folder; give it as --out")
        set_threads(config.threads)
        with nullcontext() if config.json else waiting("looking at it", at_once=False):
            refuse(problems(config))
        folder, requests = opened(config)
        left = folder.left(requests)
    except ExceptionGroup as group:
        stop(group.exceptions, 2)
    except (ValueError, OSError) as error:
        stop([error], 2)
    try:
        main(config, folder, requests, left)
    except ValueError as error:
        stop([error], 2)
    except (OSError, RuntimeError) as error:
        stop([error], 1)
    except KeyboardInterrupt:
        stop(
            [KeyboardInterrupt(f"stopped; the same command with --out {folder.path} goes on")],
            exit_code(),
        )
    return int(any(folder.rows[request.id]["picture"] is None for request in requests))


def with_preset(arguments: Sequence[str]) -> list[str]:
    """The words with a preset before them: a prompt is no unknown one."""
    first = arguments[0] if arguments else ""
    names_one = first in PRESETS or (first.endswith(".json") and Path(first).is_file())
    return [*([] if names_one else [next(iter(PRESETS))]), *arguments]


def opened(config: GenerateConfig) -> tuple[GenerationFolder, list[Request]]:
    """The folder, made where there is none yet, and the requests."""
    sampling = config.sampling
    folder = GenerationFolder(
        config.out or make_run_folder(Path("runs"), "generate"),
        config_to_json(config),
        may_differ=MAY_DIFFER,
        may_move=("world.tool",),
        about={
            "policy": config.policy.policy,
            "tool": config.world.tool_model or config.world.tool,
            "rounds": f"at most {config.max_rounds}",
            "sampling": f"temperature {sampling.temperature:g}, top-p {sampling.top_p:g}, "
            f"top-k {sampling.top_k}",
            "seed": str(config.seed),
        },
    )
    return folder, serving.asked(config.prompt, config.file)


def main(
    config: GenerateConfig,
    folder: GenerationFolder,
    requests: Sequence[Request],
    left: Sequence[Request],
) -> None:
    """Answer those that are left; what is done by then is kept and linked, however it ends. Then
    record all of it."""
    words = config.world.tool_words
    if left:
        config.tracker.check()
        folder.summary.unlink(missing_ok=True)
    how = "json" if config.json else "one" if config.file is None else "many"
    with serving.shown(folder, requests, left, how=how, max_rounds=config.max_rounds) as told:
        try:
            if left:
                words = answer(config, folder, left, *told)
        finally:
            folder.write_index(requests)
    if not config.json:
        serving.say_where(folder, requests, is_one=config.file is None)
    if not folder.summary.exists():
        serving.record_generation(
            folder,
            requests,
            config.tracker,
            document=config,
            changes=changed_options(config, PRESETS),
            seed=config.seed,
            words=words,
        )
    if not config.json:
        print_line(str(folder.summary))


def answer(
    config: GenerateConfig,
    folder: GenerationFolder,
    left: Sequence[Request],
    watcher: Callable[[Request], "serving.LiveRounds | None"],
    ended: Callable[["serving.Answered"], None],
) -> int | None:
    """Load what is needed, and let the agent work; how many words of a prompt the tool reads."""
    tool = config.world.open_tool()
    weights = fingerprint(config.policy.folder(config.world.policies))
    folder.made_with(policy=weights, tool=served_by(tool))
    words = config.world.words_of(tool)
    engine = config.engine.load(
        config.policy, config.world.policies, config.sampling, folder.path, words=words
    )
    # What has no room is refused before anything else is paid for.
    engine.open(max(left, key=lambda request: len(request.prompt)).prompt, seed=0).close()
    raise_on_interrupt()
    serving.generate(
        engine,
        tool,
        left,
        seed=config.seed,
        max_rounds=config.max_rounds,
        store=folder.store,
        drawn=folder.drawn,
        # While some wait for their pictures, others fill the engine.
        at_once=2 * config.sampling.max_batch,
        keep=folder.keep,
        ended=ended,
        watcher=watcher,
    )
    return words


def problems(config: GenerateConfig) -> list[str]:
    """What keeps anything from being drawn, a line each; no model is loaded. Servers are asked
    last, because one that hangs takes a minute."""
    lines = [*config.policy.problems(config.world.policies)]
    try:
        requests = serving.asked(config.prompt, config.file)
        if not lines:
            lines += serving.request_problems(
                requests,
                config.policy.folder(config.world.policies),
                words=config.world.tool_words,
                turn_tokens=config.sampling.max_turn_tokens,
            )
    except (ValueError, OSError) as error:
        lines.append(error_line(error))
    return lines or [*config.world.tool_problems(), *config.engine.problems(config.sampling)]


if __name__ == "__main__":
    raise SystemExit(run(sys.argv[1:]))
