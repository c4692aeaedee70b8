"""The contenders of ``rollout.py``; each plays the same work against a tool of given speed."""

import asyncio
import base64
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, cast

import aiohttp
import torch
from PIL import Image
from rollout_work import ROUNDS, Script, SlowServers, SlowTool, Work, score
from transformers import LogitsProcessor, LogitsProcessorList

from genagent_data import PictureStore
from genagent_policy import Policy
from genagent_rollout import EngineConfig, LocalEngine, SamplingConfig, run_agents
from genagent_rollout.sequence import Sequence as EngineSequence


@dataclass(frozen=True, kw_only=True, slots=True)
class Play:
    """One go of a contender."""

    seconds: float
    cpu: float
    """Of its process."""
    tokens: int
    """Said by the policy."""
    scheduling: float = 0.0
    """Share of the engine's own time."""


class Contender(Protocol):
    """Plays the work."""

    def play(self, seconds: float, places: int) -> Play:
        """
        Args:
            seconds: a picture takes.
            places: pictures drawn at once.
        """
        ...


class ScriptedSampler:
    """Reads the scripts out; a conversation's seed says which."""

    def __init__(self, scripts: Sequence[Script]) -> None:
        self._scripts = scripts

    def choose(
        self, logits: torch.Tensor, sequences: Sequence[EngineSequence]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        written = [
            self._scripts[each.seed][len(each.record.grids)][each.turn_tokens] for each in sequences
        ]
        return torch.tensor(written), score(logits, written)


class Ours:
    """``LocalEngine``."""

    def __init__(self, policy: Policy, work: Work) -> None:
        self._work = work
        self._engine = LocalEngine(
            policy,
            SamplingConfig(),
            EngineConfig(cache_gib=1.0),
            sampler=ScriptedSampler(work.scripts),
        )

    def play(self, seconds: float, places: int) -> Play:
        tool = SlowServers(self._work, seconds=seconds, places=places)
        engine, before = self._engine, replace(self._engine.counts)
        with tempfile.TemporaryDirectory() as pictures:
            wall, busy = time.perf_counter(), time.process_time()
            batch = run_agents(
                engine,
                tool if seconds else SlowTool(self._work, seconds=0.0, places=places),
                self._work.requests,
                seeds=range(len(self._work.requests)),
                max_rounds=ROUNDS,
                store=PictureStore(Path(pictures)),
            )
            wall, busy = time.perf_counter() - wall, time.process_time() - busy
        return Play(
            seconds=wall,
            cpu=busy,
            tokens=sum(rollout.tokens.num_policy_tokens for rollout in batch.rollouts),
            scheduling=(engine.counts.scheduling_seconds - before.scheduling_seconds)
            / (engine.counts.seconds - before.seconds),
        )


class _Reading(LogitsProcessor):
    """Leaves nothing but the script's tokens."""

    def __init__(self, turns: Sequence[list[int]], prompt: int, pad: int) -> None:
        self._turns = turns
        self._prompt = prompt
        self._pad = pad

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        place = input_ids.shape[1] - self._prompt
        written = [turn[place] if place < len(turn) else self._pad for turn in self._turns]
        score(scores, written)
        only = torch.full_like(scores, -torch.inf)
        only[torch.arange(len(written)), written] = 0.0
        return only


class Generate:
    """``transformers.generate``, all from the start in each round, in lock-step."""

    def __init__(self, policy: Policy, work: Work) -> None:
        self._policy = policy
        self._work = work

    def play(self, seconds: float, places: int) -> Play:
        policy, work = self._policy, self._work
        tool = SlowTool(work, seconds=seconds, places=places)
        seeds = range(len(work.requests))
        rows = [policy.chat.prompt_ids(request.prompt) for request in work.requests]
        pixels: list[torch.Tensor] = []
        grids: list[torch.Tensor] = []
        wall, busy = time.perf_counter(), time.process_time()
        for number in range(ROUNDS + 1):
            turns = [script[number] for script in work.scripts]
            said = self._say(rows, turns, pixels, grids)
            if number == ROUNDS:
                break
            drawn = tool.generate([request.prompt for request in work.requests], list(seeds))
            patches, sizes = policy.chat.encode_pictures(drawn)
            rows = [
                [*row, *turn, *policy.chat.observation_ids(grid)]
                for row, turn, grid in zip(rows, said, sizes, strict=True)
            ]
            pixels = _by_row(pixels, list(patches), number)
            grids = _by_row(grids, list(sizes), number)
        wall, busy = time.perf_counter() - wall, time.process_time() - busy
        return Play(seconds=wall, cpu=busy, tokens=work.tokens)

    def _say(
        self,
        rows: list[list[int]],
        turns: list[list[int]],
        pixels: list[torch.Tensor],
        grids: list[torch.Tensor],
    ) -> list[list[int]]:
        policy, chat = self._policy, self._policy.chat
        longest = max(map(len, rows))
        ids = torch.tensor([[chat.turn_end_id] * (longest - len(row)) + row for row in rows])
        mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
        shown = {}
        if grids:
            shown = {
                "pixel_values": chat.expand_pictures(torch.cat(pixels), policy.dtype),
                "image_grid_thw": torch.stack(grids),
                "mm_token_type_ids": (ids == chat.image_token_id).int(),
            }
        with torch.inference_mode():
            found = cast(Any, policy.model).generate(
                input_ids=ids,
                attention_mask=mask,
                **shown,
                do_sample=False,
                max_new_tokens=max(map(len, turns)),
                eos_token_id=chat.turn_end_id,
                pad_token_id=chat.turn_end_id,
                logits_processor=LogitsProcessorList([_Reading(turns, longest, chat.turn_end_id)]),
            )
        said = [row[longest:].tolist() for row in found]
        if any(row[: len(turn)] != turn for row, turn in zip(said, turns, strict=True)):
            raise RuntimeError("transformers.generate left the script")
        return turns


def _by_row(earlier: list[torch.Tensor], new: list[torch.Tensor], each: int) -> list[torch.Tensor]:
    """Pictures row by row, ``each`` and one more of a row."""
    return [
        picture
        for row, latest in enumerate(new)
        for picture in (*earlier[row * each : (row + 1) * each], latest)
    ]


class Before:
    """The lock-step engine of a checkout, in a process of its own."""

    def __init__(self, checkout: Path, arguments: Sequence[str]) -> None:
        """
        Raises:
            RuntimeError: it does not start; what it said stands above.
        """
        packages = sorted(str(path) for path in (checkout / "packages").glob("*/src"))
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).parent / "rollout_before.py"), *arguments],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(packages)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if self._line() != "ready":
            raise RuntimeError(f"{checkout} is no checkout of fa7c8a3")

    def play(self, seconds: float, places: int) -> Play:
        assert self._process.stdin is not None
        print(seconds, places, file=self._process.stdin, flush=True)
        return Play(**json.loads(self._line()))

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


class Vllm:
    """A vLLM server that holds the same policy: token in, token out, its prefix cache on.

    It says as many tokens in each turn as the script does, of its own choice.
    """

    def __init__(self, url: str, policy: Policy, work: Work) -> None:
        self._url = f"{url.rstrip('/')}/inference/v1/generate"
        self._policy = policy
        self._work = work
        self._plays = 0

    def play(self, seconds: float, places: int) -> Play:
        self._plays += 1
        return asyncio.run(self._play(seconds, places))

    async def _play(self, seconds: float, places: int) -> Play:
        tool = SlowServers(self._work, seconds=seconds, places=places)
        wall, busy = time.perf_counter(), time.process_time()
        limits = aiohttp.ClientTimeout(total=3600)
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=limits
        ) as session:
            said = await asyncio.gather(
                *(self._talk(session, tool, seed) for seed in range(len(self._work.requests)))
            )
        wall, busy = time.perf_counter() - wall, time.process_time() - busy
        return Play(seconds=wall, cpu=busy, tokens=sum(said))

    async def _talk(self, session: aiohttp.ClientSession, tool: SlowServers, seed: int) -> int:
        chat, script = self._policy.chat, self._work.scripts[seed]
        ids = chat.prompt_ids(self._work.requests[seed].prompt)
        parts: list[dict[str, str]] = []
        said = 0
        for number, turn in enumerate(script):
            sampling = {"max_tokens": len(turn) - 1, "ignore_eos": True, "logprobs": 1}
            sampling |= {"temperature": 1.0, "seed": seed}
            body = {"token_ids": ids, "sampling_params": sampling, "content_parts": parts}
            # A play must not find what an earlier one has left in the cache.
            body["cache_salt"] = str(self._plays)
            async with session.post(self._url, json=body) as response:
                response.raise_for_status()
                answer = await response.json()
            tokens = answer["choices"][0]["token_ids"]
            said += len(tokens) + 1
            if number < ROUNDS:
                picture = await tool.draw_one("", seed)
                _, grids = chat.encode_pictures([picture])
                shown = chat.observation_ids(grids[0])
                first = shown.index(chat.image_token_id)
                rest = [token for token in shown[first:] if token != chat.image_token_id]
                ids = [*ids, *tokens, chat.turn_end_id, *shown[: first + 1], *rest]
                parts = [*parts, _as_part(picture)]
        return said


def _as_part(picture: Image.Image) -> dict[str, str]:
    png = io.BytesIO()
    picture.save(png, format="PNG")
    data = base64.b64encode(png.getvalue()).decode()
    return {"type": "image_url", "url": f"data:image/png;base64,{data}"}
