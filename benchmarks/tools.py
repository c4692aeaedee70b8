"""The image server: what batching gains, what HTTP costs, and whether anything is ever lost.

    uv run benchmarks/tools.py                     # batched, one at a time, without a server
    uv run benchmarks/tools.py --soak-minutes 10   # servers are killed under constant load

Both draw with the shipped flux-mini on the CPU. The comparison lets all take a turn in each round,
in changing order: a server that batches, the same server with max_batch 1, and the pipeline called
with the same prompts as one batch in this process. The soak puts one client before several servers
of which one is killed every 20 seconds and started again, all but the last in turn; every picture
is compared with the one drawn beforehand in this process from the same prompt and seed, so that an
answer to another request, or a second one to the same, shows as a wrong picture.
"""

import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image

from genagent_data import write_text
from genagent_miniworld import sample_requests
from genagent_miniworld.load import TOOLS, quietly, weights
from genagent_tools import DiffusersTool, HttpImageTool, HttpToolConfig, ToolError
from genagent_tracking import parse, print_line, print_table, waiting

PROFILE = TOOLS["flux-mini"]
COMMAND = [sys.executable, "-c", "from genagent_tools.cli import main; main()", "serve"]


@dataclass(frozen=True, kw_only=True)
class ToolsConfig:
    """What is measured."""

    requests: int = 96
    """At once, of one picture each."""
    rounds: int = 7
    """Turns of each contender."""
    threads: int = 2
    """Of the pipeline, wherever it runs."""
    max_wait_ms: float = 50.0
    """How long the batching server waits for company."""
    soak_minutes: float = 0.0
    """Above 0: the soak instead of the comparison."""
    servers: int = 3
    """In the soak, one thread each; all but the last are killed in turn."""
    kill_seconds: float = 20.0
    """From one kill to the next, going round."""
    clients: int = 4
    """Threads that ask for four pictures at a time."""
    known: int = 256
    """Different pictures that the soak asks for."""
    output: Path = Path("runs/tools.json")
    seed: int = 0

    def __post_init__(self) -> None:
        if self.rounds < 2:
            raise ValueError(f"rounds is {self.rounds}; wants 2 or more, for there are quartiles")


class ServerProcess:
    """``genagent-tools serve`` on a port of its own."""

    def __init__(self, log: Path, *, max_batch: int, threads: int, max_wait_ms: float) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = log
        self._threads = threads
        options = {"model": weights("flux-mini"), "port": self.port, "max-batch": max_batch}
        options |= {"width": PROFILE.width, "height": PROFILE.height, "steps": PROFILE.steps}
        options |= {"guidance": PROFILE.guidance, "text-tokens": PROFILE.text_tokens}
        options |= {"dtype": PROFILE.dtype, "devices": "cpu", "max-wait-ms": max_wait_ms}
        self._words = [str(word) for pair in options.items() for word in (f"--{pair[0]}", pair[1])]
        self.process = self.start()

    def start(self) -> "subprocess.Popen[bytes]":
        """Start it (again)."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [*COMMAND, *self._words],
                stdout=log,
                stderr=log,
                env=os.environ | {"OMP_NUM_THREADS": str(self._threads)},
            )
        return self.process

    def wait_until_ready(self) -> None:
        """Return once it takes connections."""
        while True:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server on port {self.port} ended; see {self._log}")
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.1)


@contextmanager
def servers(
    count: int, folder: Path, *, max_batch: int, threads: int, max_wait_ms: float
) -> Iterator[list[ServerProcess]]:
    """Server processes, ready, until the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    found: list[ServerProcess] = []
    try:
        for number in range(count):
            log = folder / f"server-{max_batch}-{number}.log"
            found.append(
                ServerProcess(log, max_batch=max_batch, threads=threads, max_wait_ms=max_wait_ms)
            )
        for server in found:
            server.wait_until_ready()
        yield found
    finally:
        for server in found:
            server.process.terminate()
        for server in found:
            server.process.wait()


def load_pipeline(max_batch: int) -> DiffusersTool:
    """flux-mini in this process."""
    quietly()
    profile = replace(PROFILE, max_batch=max_batch)
    return DiffusersTool.from_profile(profile, path=weights("flux-mini"), device="cpu")


def distance(one: Image.Image, other: Image.Image) -> int:
    """Largest difference of two pictures, of 255."""
    return int(np.abs(np.asarray(one, dtype=int) - np.asarray(other, dtype=int)).max())


def compare(config: ToolsConfig) -> dict[str, object]:
    """All contenders in turn; seconds for all pictures."""
    import torch

    torch.set_num_threads(config.threads)
    count, folder = config.requests, config.output.parent / "tools-servers"
    requests = sample_requests(count, seed=config.seed, split="train")
    prompts, seeds = [request.prompt for request in requests], list(range(count))
    with ExitStack() as stack:
        stack.enter_context(waiting(f"{config.rounds} rounds of {count} pictures"))
        direct = load_pipeline(count)
        contenders: dict[str, Callable[[], list[Image.Image]]] = {}
        for name, max_batch in (("batched", count), ("one at a time", 1)):
            [server] = stack.enter_context(
                servers(
                    1,
                    folder,
                    max_batch=max_batch,
                    threads=config.threads,
                    max_wait_ms=config.max_wait_ms,
                )
            )
            client = HttpToolConfig(base_urls=(server.url,), max_concurrency=count)
            tool = stack.enter_context(HttpImageTool(client))
            contenders[name] = lambda tool=tool: tool.generate(prompts, seeds)
        contenders["direct"] = lambda: direct.generate(prompts, seeds)
        pictures = {name: draw() for name, draw in contenders.items()}
        worst = {
            name: max(map(distance, drawn, pictures["direct"])) for name, drawn in pictures.items()
        }
        seconds: dict[str, list[float]] = {name: [] for name in contenders}
        order = list(contenders)
        for _ in range(config.rounds):
            for name in order:
                started = time.perf_counter()
                contenders[name]()
                seconds[name].append(time.perf_counter() - started)
            order.append(order.pop(0))
    rows = [
        {
            "way": name,
            "seconds": _quartiles(times),
            "pictures/s": f"{count / statistics.median(times):.1f}",
            "largest difference": str(worst[name]),
        }
        for name, times in seconds.items()
    ]
    print_table(f"{count} pictures of flux-mini, {config.rounds} rounds", rows, has_total=False)
    pairs = {
        "times as fast as one at a time": ("one at a time", "batched"),
        "times the direct call": ("batched", "direct"),
    }
    ratios = {
        text: [a / b for a, b in zip(seconds[one], seconds[other], strict=True)]
        for text, (one, other) in pairs.items()
    }
    for text, values in ratios.items():
        print_line(f"batched: {_quartiles(values)} {text}")
    return {"seconds": seconds, "ratios": ratios, "largest_difference": worst}


def _quartiles(values: list[float]) -> str:
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{middle:.3f} [{low:.3f}, {high:.3f}]"


@dataclass(kw_only=True, slots=True)
class SoakRecord:
    """What happened, written by all threads."""

    asked: int = 0
    answers: set[int] = field(default_factory=set)
    wrong: int = 0
    inexact: int = 0
    """One level off, by the company a picture was drawn in."""
    errors: list[str] = field(default_factory=list)
    kills: int = 0
    memory: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    """Seconds and MiB of each process."""
    lock: threading.Lock = field(default_factory=threading.Lock)


def soak(config: ToolsConfig) -> dict[str, object]:
    """Constant load while servers are killed."""
    folder = config.output.parent / "tools-servers"
    requests = sample_requests(config.known, seed=config.seed, split="train")
    prompts = [request.prompt for request in requests]
    known = load_pipeline(32).generate(prompts, list(range(config.known)))
    record, stop = SoakRecord(), threading.Event()
    with servers(
        config.servers, folder, max_batch=16, threads=1, max_wait_ms=config.max_wait_ms
    ) as running:
        urls = tuple(server.url for server in running)
        with (
            HttpImageTool(HttpToolConfig(base_urls=urls, timeout_seconds=60.0)) as tool,
            ThreadPoolExecutor(config.clients + 2) as pool,
        ):
            jobs = [pool.submit(_kill_in_turn, running, config.kill_seconds, record, stop)]
            jobs.append(pool.submit(_watch_memory, running, record, stop))
            for number in range(config.clients):
                rng = random.Random(f"{config.seed}/{number}")
                jobs.append(pool.submit(_load, tool, prompts, known, rng, record, stop))
            stop.wait(60 * config.soak_minutes)
            stop.set()
            for job in jobs:
                job.result()
            counts = tool.counts
    result: dict[str, object] = {
        "asked": record.asked,
        "lost": record.asked - len(record.answers),
        "wrong": record.wrong,
        "one_level_off": record.inexact,
        "kills": record.kills,
        "requests": counts.requests,
        "failures_retried": counts.failures,
        "waits": counts.waits,
        "quarantines": counts.quarantines,
        "errors": record.errors[:10],
        "client_mib": _trend(record.memory["client"]),
        "server_mib": [_trend(_longest_life(record, url)) for url in urls],
        "memory": record.memory,
    }
    shown = {name: str(value) for name, value in result.items() if name != "memory"}
    rows = [{"figure": name, "value": value} for name, value in shown.items()]
    title = f"{config.soak_minutes:g} minutes, {config.servers} servers"
    print_table(title, rows, has_total=False, words=2)
    return result


def _load(
    tool: HttpImageTool,
    prompts: list[str],
    known: list[Image.Image],
    rng: random.Random,
    record: SoakRecord,
    stop: threading.Event,
) -> None:
    while not stop.is_set():
        chosen = [rng.randrange(len(prompts)) for _ in range(4)]
        with record.lock:
            numbers = range(record.asked, record.asked + 4)
            record.asked += 4
        try:
            pictures = tool.generate([prompts[index] for index in chosen], chosen)
        except ToolError as error:
            with record.lock:
                record.errors.append(str(error))
            continue
        apart = [distance(picture, known[i]) for picture, i in zip(pictures, chosen, strict=True)]
        with record.lock:
            record.answers.update(numbers)
            record.wrong += sum(levels > 1 for levels in apart)
            record.inexact += sum(levels == 1 for levels in apart)


def _kill_in_turn(
    running: list[ServerProcess], seconds: float, record: SoakRecord, stop: threading.Event
) -> None:
    while not stop.wait(seconds):
        # The last one lives, so that a leak would show.
        server = running[record.kills % max(1, len(running) - 1)]
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        server.start()
        record.kills += 1


def _watch_memory(running: list[ServerProcess], record: SoakRecord, stop: threading.Event) -> None:
    started = time.monotonic()
    while not stop.wait(1.0):
        processes = {"client": os.getpid()}
        processes |= {f"{each.url} {each.process.pid}": each.process.pid for each in running}
        for name, pid in processes.items():
            mib = _resident_mib(pid)
            if mib:
                record.memory.setdefault(name, []).append((time.monotonic() - started, mib))


def _resident_mib(pid: int) -> float | None:
    """Resident memory; 0 or None for a process that has just ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _longest_life(record: SoakRecord, url: str) -> list[tuple[float, float]]:
    """Memory of a server from one kill to the next."""
    return max((life for name, life in record.memory.items() if url in name), key=len)


def _trend(samples: list[tuple[float, float]]) -> dict[str, float]:
    """First and last MiB of the samples' later half, and the slope through it, MiB a minute."""
    later = samples[len(samples) // 2 :]
    times, sizes = [time for time, _ in later], [size for _, size in later]
    slope = float(np.polyfit(times, sizes, 1)[0]) * 60 if len(later) > 1 else 0.0
    return {"first": round(sizes[0], 1), "last": round(sizes[-1], 1), "a_minute": round(slope, 2)}


def main(config: ToolsConfig) -> None:
    """Measure and write the figures down."""
    config.output.parent.mkdir(parents=True, exist_ok=True)
    result = soak(config) if config.soak_minutes > 0 else compare(config)
    settings = {name: str(getattr(config, name)) for name in ToolsConfig.__dataclass_fields__}
    write_text(config.output, json.dumps({"config": settings, **result}, indent=2))
    print_line(str(config.output))


if __name__ == "__main__":
    main(parse(ToolsConfig, sys.argv[1:], prog="tools.py"))
