"""The lock-step engine of before, as a contender in a process of its own: ``rollout.py`` starts it
with the packages of a checkout of fa7c8a3 and asks for plays, one line each."""

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rollout_work import ROUNDS, Script, SlowTool, load, make_work

import genagent_rollout.sampling
from genagent_data import PictureStore
from genagent_rollout import SamplingConfig, run_agents


class Reader:
    """Reads the scripts out, by row."""

    def __init__(self, scripts: Sequence[Script], seeds: Sequence[int]) -> None:
        self._scripts = [scripts[seed] for seed in seeds]
        self._turns = [-1] * len(seeds)

    def choose(
        self, logits: torch.Tensor, rows: np.ndarray, step: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if step == 0:
            for row in rows:
                self._turns[row] += 1
        written = [self._scripts[row][self._turns[row]][step] for row in rows]
        return torch.tensor(written), _score(logits, written)


def _score(logits: torch.Tensor, written: Sequence[int]) -> torch.Tensor:
    """Log-probs of the tokens in the script; that tree's sampling by inverse CDF is paid for."""
    sampling: Any = genagent_rollout.sampling
    logprobs = torch.log_softmax(logits.float(), dim=-1)
    sampling.inverse_cdf(logprobs, torch.full((len(written),), 0.5))
    return logprobs.gather(1, torch.tensor(written)[:, None]).squeeze(1)


def main(size: str, dtype: str, folder: str, requests: str, side: str, threads: str) -> None:
    """Play as often as a line asks for it: seconds and places of the tool."""
    torch.set_num_threads(int(threads))
    policy = load(size, dtype, Path(folder))
    work = make_work(policy, int(requests), int(side))
    # This tree has it no more.
    engine: Any = getattr(genagent_rollout, "RolloutEngine")(policy, SamplingConfig())  # noqa: B009
    engine.sampler = lambda seeds: Reader(work.scripts, seeds)
    seeds = range(len(work.requests))
    print("ready", flush=True)
    for line in sys.stdin:
        seconds, places = line.split()
        tool = SlowTool(work, seconds=float(seconds), places=int(places))
        with tempfile.TemporaryDirectory() as pictures:
            wall, busy = time.perf_counter(), time.process_time()
            batch = run_agents(
                engine,
                tool,
                work.requests,
                seeds=seeds,
                max_rounds=ROUNDS,
                store=PictureStore(Path(pictures)),
            )
            wall, busy = time.perf_counter() - wall, time.process_time() - busy
        said = sum(rollout.tokens.num_policy_tokens for rollout in batch.rollouts)
        print(json.dumps({"seconds": wall, "cpu": busy, "tokens": said}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
