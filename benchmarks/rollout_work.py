"""What every contender of ``rollout.py`` does: the same turns, token for token, and pictures that
take a given time. Runs in this tree and in a checkout of the one before it."""

import asyncio
import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from genagent_data import Request
from genagent_miniworld.load import weights
from genagent_policy import Policy

ROUNDS = 3
"""Pictures of a trajectory; after the last one comes a turn that judges it."""
ATTEMPTS = 12
"""Trajectories a request."""
WORDS = ["red", "blue", "green", "circle", "square", "left", "right", "large", "two", "three"]
FEWEST, MOST = 4, 28
"""Words of a turn's thoughts."""
SYSTEM = "Think about what the picture needs, draw it, look at it and judge. " * 7
"""Of the half billion: some 300 tokens, as Qwen's tokenizer makes of the agent's own message, which
the miniature's tokenizer has as one."""

Script = list[list[int]]
"""Token ids of each turn of one trajectory, ends of turns included."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """Trajectories to be had, in the order of their seeds ``0, 1, …``."""

    requests: tuple[Request, ...]
    scripts: tuple[Script, ...]
    pictures: tuple[Image.Image, ...]
    """One a trajectory, shown in each of its rounds."""

    @property
    def tokens(self) -> int:
        """That the policy says."""
        return sum(len(turn) for script in self.scripts for turn in script)


def make_work(policy: Policy, requests: int, side: int) -> Work:
    """Turns of a few words to thirty; pictures of noise, ``side`` pixels high and wide."""
    rng, noise = random.Random(0), np.random.default_rng(0)
    asked = [
        Request(id=str(number), prompt=f"{number} {rng.choice(WORDS)} shapes")
        for number in range(requests)
        for _ in range(ATTEMPTS)
    ]
    encode = policy.processor.tokenizer.encode

    def words() -> str:
        return " ".join(rng.choices(WORDS, k=rng.randint(FEWEST, MOST)))

    def script() -> Script:
        call = '<tool_call>{"name": "generate_image", "arguments": {"prompt": "two"}}</tool_call>'
        turns = [f"<think>{words()}</think>{call}"]
        turns += [f"<judge>{words()}</judge><think>no</think>{call}" for _ in range(ROUNDS - 1)]
        turns.append(f"<judge>{words()}</judge><answer>done</answer>")
        end = policy.chat.turn_end_id
        return [[*encode(turn, add_special_tokens=False), end] for turn in turns]

    return Work(
        requests=tuple(asked),
        scripts=tuple(script() for _ in asked),
        pictures=tuple(
            Image.fromarray(noise.integers(0, 256, (side, side, 3), dtype=np.uint8)) for _ in asked
        ),
    )


def score(logits: torch.Tensor, written: Sequence[int]) -> torch.Tensor:
    """Log-probs of the tokens in the script; what sampling costs is paid."""
    from genagent_kernels import sample_tokens

    rows = torch.arange(len(written))
    sample_tokens(logits.float(), rows, draws=rows)
    return torch.log_softmax(logits.float(), dim=-1)[rows, torch.tensor(written)]


class SlowTool:
    """Draws some pictures at once, in lock-step."""

    def __init__(self, work: Work, *, seconds: float, places: int) -> None:
        self._pictures = work.pictures
        self._seconds = seconds
        self._places = places
        self._drawn = 0

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
        time.sleep(math.ceil(len(prompts) / self._places) * self._seconds)
        self._drawn += len(prompts)
        return [
            self._pictures[(self._drawn + n) % len(self._pictures)] for n in range(len(prompts))
        ]


class SlowServers:
    """Draw one picture at each of some places."""

    def __init__(self, work: Work, *, seconds: float, places: int) -> None:
        self._pictures = work.pictures
        self._seconds = seconds
        self._free = asyncio.Semaphore(places)

    async def draw_one(self, prompt: str, seed: int) -> Image.Image:
        async with self._free:
            await asyncio.sleep(self._seconds)
        return self._pictures[seed % len(self._pictures)]


def load(size: str, dtype: str, folder: Path) -> Policy:
    """The miniature or the half billion."""
    kind = getattr(torch, dtype)
    if size == "mini":
        return Policy.load(weights("sft"), dtype=kind)
    if not (folder / "config.json").exists():
        build_half_billion(folder)
    return Policy.load(folder, dtype=kind, system=SYSTEM)


def build_half_billion(folder: Path) -> None:
    """A random policy with the sizes of Qwen2.5-0.5B; the miniature's tokenizer."""
    from transformers import (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
        Qwen2VLImageProcessor,
    )

    processor = Qwen2_5_VLProcessor.from_pretrained(weights("sft"))
    tokenizer = processor.tokenizer
    limits = {"shortest_edge": 56 * 56, "longest_edge": 1024 * 1024}
    processor.image_processor = Qwen2VLImageProcessor(
        patch_size=14, merge_size=2, temporal_patch_size=2, size=limits
    )
    token_id = tokenizer.convert_tokens_to_ids
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": 151_936,
            "hidden_size": 896,
            "intermediate_size": 4864,
            "num_hidden_layers": 24,
            "num_attention_heads": 14,
            "num_key_value_heads": 2,
            "max_position_embeddings": 32_768,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1e6,
                "mrope_section": [8, 12, 12],
            },
            "pad_token_id": tokenizer.pad_token_id,
            "bos_token_id": None,
            "eos_token_id": tokenizer.eos_token_id,
            "tie_word_embeddings": True,
        },
        vision_config={
            "depth": 4,
            "hidden_size": 512,
            "intermediate_size": 1408,
            "num_heads": 8,
            "out_hidden_size": 896,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "window_size": 112,
            "fullatt_block_indexes": [3],
        },
        image_token_id=token_id("<|image_pad|>"),
        video_token_id=token_id("<|video_pad|>"),
        vision_start_token_id=token_id("<|vision_start|>"),
        vision_end_token_id=token_id("<|vision_end|>"),
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    Qwen2_5_VLForConditionalGeneration(config).bfloat16().save_pretrained(folder)
    processor.save_pretrained(folder)
