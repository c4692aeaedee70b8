"""Whether hostile and killed servers among good ones cost anything but time.

    uv run benchmarks/soak.py --minutes 10
    uv run benchmarks/soak.py --minutes 10 --vllm build/vllm   # as vllm_server.py builds it

Image servers, judges and engines, two good ones of each kind and a hostile one beside them; the
first good one of each is killed in turn, by SIGKILL, and started again. Everything is first asked
of the good ones alone, and then over and over of all: each picture, verdict and trajectory must be
the one that was had before. The image servers are our own, around a painter that draws at once;
judges and engines answer by a hash of what they are asked; with ``--vllm`` there are two real vLLM
servers of the miniature's policy too, which sample with weights that were published to them. The
hostile ones hang, trickle, flood, answer with bombs and absurd headers, redirect, or hang up; they
do not lie in a well-formed answer, which nobody could tell.
"""

import itertools
import json
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from soak_engine import STARTED, turn_server, turns, vllm_turns
from soak_hostility import MIB, serve_hostility
from soak_kinds import Ask, Kind, pictures, verdicts
from soak_servers import Process, VllmProcess, running, serve_pictures, serve_verdicts

from genagent_data import write_text
from genagent_tracking import parse, print_line, print_table


@dataclass(frozen=True, kw_only=True)
class SoakConfig:
    """How long, and how much at once."""

    minutes: float = 10.0
    known: int = 64
    """Different pictures, verdicts and trajectories."""
    batch: int = 16
    """Asked together by each caller."""
    kill_seconds: float = 10.0
    """From one kill to the next, going round the kinds; a server that is not back yet is spared."""
    start_seconds: float = 600.0
    """That all servers together may take to start."""
    vllm: Path | None = None
    """Environment of real vLLM servers; None: without them."""
    output: Path = Path("runs/soak.json")
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.minutes < float("inf"):
            raise ValueError(f"minutes is {self.minutes}; wants a number above 0")


@dataclass(frozen=True, kw_only=True, slots=True)
class Servers:
    """Of one kind, and how they are asked."""

    name: str
    start: Callable[[], Process]
    ask: Callable[[ExitStack, Sequence[str]], Ask]


def kinds_of(config: SoakConfig) -> list[Servers]:
    found = [
        Servers(name="pictures", start=partial(Process, serve_pictures), ask=pictures),
        Servers(name="verdicts", start=partial(Process, serve_verdicts), ask=verdicts),
        Servers(name="trajectories", start=turn_server, ask=turns),
    ]
    if config.vllm is not None:
        start = partial(VllmProcess, STARTED, config.vllm.absolute())
        found.append(Servers(name="trajectories, vLLM", start=start, ask=vllm_turns))
    return found


def resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / MIB


def kill_in_turn(
    config: SoakConfig, good: Sequence[Process], is_over: Callable[[], bool], memory: list[float]
) -> list[int]:
    """Kill and start again until the time is up; how often each of them was killed."""
    kills = [0] * len(good)
    until = time.monotonic() + 60 * config.minutes
    for place in itertools.cycle(range(len(good))):
        left = until - time.monotonic()
        if left <= 0 or is_over():
            break
        time.sleep(min(left, config.kill_seconds))
        if good[place].is_ready():
            good[place].kill()
            good[place].start()
            kills[place] += 1
        memory.append(resident_mib())
    return kills


def soak(config: SoakConfig, kinds: Iterable[Kind], good: Sequence[Process]) -> dict[str, Any]:
    """Ask all of them until the time is up."""
    stop, memory = threading.Event(), [resident_mib()]
    kinds = list(kinds)
    with ThreadPoolExecutor(len(kinds)) as pool:
        jobs = [
            pool.submit(kind.soak, config.batch, stop, random.Random(f"{config.seed}/{kind.name}"))
            for kind in kinds
        ]
        kills = kill_in_turn(config, good, lambda: any(job.done() for job in jobs), memory)
        stop.set()
        for job in jobs:
            job.result()
    rows = [
        {"what": kind.name, "kills": str(killed)}
        | {name: str(getattr(kind, name)) for name in ("asked", "lost", "other")}
        for kind, killed in zip(kinds, kills, strict=True)
    ]
    return {"rows": rows, "kills": sum(kills), "minutes": config.minutes, "mib": memory}


def main(config: SoakConfig) -> None:
    """Ask the good ones, then all of them."""
    servers = kinds_of(config)
    starts = [each.start for each in servers for _ in range(2)]
    starts += [partial(Process, serve_hostility) for _ in servers]
    with ExitStack() as stack:
        every = stack.enter_context(running(starts, seconds=config.start_seconds))
        good, bad = every[: 2 * len(servers)], every[2 * len(servers) :]
        kinds: list[Kind] = []
        for place, (each, hostile) in enumerate(zip(servers, bad, strict=True)):
            urls = [process.url for process in good[2 * place : 2 * place + 2]]
            alone, numbers = each.ask(stack, urls), range(config.known)
            known = dict(zip(numbers, alone(numbers), strict=True))
            if None in known.values():
                raise RuntimeError(f"{each.name} are not to be had without hostile servers either")
            ask = each.ask(stack, [hostile.url, *urls])
            kinds.append(Kind(name=each.name, ask=ask, known=known))
        result = soak(config, kinds, good[::2])
    rows, memory = result["rows"], result["mib"]
    print_table(f"{config.minutes:g} minutes, {result['kills']} kills", rows, has_total=False)
    print_line(f"memory: {memory[0]:.0f} MiB before, {max(memory):.0f} at most, {memory[-1]:.0f}")
    config.output.parent.mkdir(parents=True, exist_ok=True)
    write_text(config.output, json.dumps(result, indent=2))
    print_line(str(config.output))


if __name__ == "__main__":
    main(parse(SoakConfig, sys.argv[1:], prog="soak.py"))
