"""An engine whose turns are written beforehand, so that every ending can be reached."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from genagent_policy import Policy
from genagent_rollout import RolloutEngine, SamplingConfig, SeededSampler, TokenSampler

SAMPLED = -1
"""In a script: let the policy sample this token."""

Script = Sequence[Sequence[int]]
"""Token ids of each turn of one conversation."""


class ScriptedSampler:
    """Says what the script says, with the log-probs the policy gives it."""

    def __init__(
        self, scripts: Sequence[Script], seeds: Sequence[int], config: SamplingConfig
    ) -> None:
        self.scripts = scripts
        self.turns = [-1] * len(scripts)
        self.temperature = config.temperature
        self.sampled = SeededSampler(seeds, config)

    def choose(
        self, logits: torch.Tensor, rows: np.ndarray, step: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        tokens, _ = self.sampled.choose(logits, rows, step)
        for place, row in enumerate(rows):
            if step == 0:
                self.turns[row] += 1
            written = self.scripts[row][self.turns[row]][step]
            if written != SAMPLED:
                tokens[place] = written
        logprobs = torch.log_softmax(logits / self.temperature, dim=-1)
        return tokens, logprobs.gather(1, tokens[:, None])[:, 0]


class ScriptedEngine(RolloutEngine):
    """The real engine and the real model, with other choices; scripts go by the row's seed."""

    def __init__(self, policy: Policy, scripts: Sequence[Script], config: SamplingConfig) -> None:
        super().__init__(policy, config)
        self.scripts = scripts

    def sampler(self, seeds: Sequence[int]) -> TokenSampler:
        return ScriptedSampler([self.scripts[seed] for seed in seeds], seeds, self.config)


@pytest.fixture
def scripted(tiny_policy: Policy) -> Callable[..., RolloutEngine]:
    """``scripted(scripts, **sampling)``: row with seed ``s`` follows ``scripts[s]``."""

    def build(
        scripts: Sequence[Script],
        *,
        temperature: float = 1.0,
        max_turn_tokens: int = 64,
        max_batch: int = 64,
    ) -> RolloutEngine:
        config = SamplingConfig(
            temperature=temperature, max_turn_tokens=max_turn_tokens, max_batch=max_batch
        )
        return ScriptedEngine(tiny_policy, scripts, config)

    return build
