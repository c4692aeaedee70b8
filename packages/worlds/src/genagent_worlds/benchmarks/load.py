"""Benchmarks by name."""

from pathlib import Path

from genagent_worlds.benchmarks.benchmark import PROTOCOLS, Benchmark, Protocol_
from genagent_worlds.benchmarks.geneval_plus import GenEvalPlus
from genagent_worlds.benchmarks.imagine import Imagine
from genagent_worlds.benchmarks.wise import Wise
from genagent_worlds.benchmarks.wise_graded import WISE
from genagent_worlds.benchmarks.wise_verified import WISE_VERIFIED

BENCHMARKS = ("geneval++", "wise", "wise-verified", "imagine")
"""Names of the benchmarks that are read from their official files."""


def load_benchmark(name: str, path: Path, *, protocol: Protocol_ = "official") -> Benchmark:
    """A benchmark from its official file, as it is published.

    Args:
        name: one of ``BENCHMARKS``.
        path: ``Geneval++.jsonl``; ``Imagine.jsonl``; WISE's folder with its three files, or one of
            them, of whose categories the figures then are.

    Raises:
        ValueError: a name, a file or a row that cannot be used; one line with place, value and
            remedy.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol is {protocol!r}; wants {' or '.join(PROTOCOLS)}")
    match name:
        case "geneval++":
            return GenEvalPlus.load(path, protocol)
        case "wise":
            return Wise.load(WISE, path, protocol)
        case "wise-verified":
            return Wise.load(WISE_VERIFIED, path, protocol)
        case "imagine":
            return Imagine.load(path, protocol)
    raise ValueError(f"no benchmark {name!r}; known: {', '.join(BENCHMARKS)}")
