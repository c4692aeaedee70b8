"""An engine whose turns are written beforehand, so that every ending can be reached."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
import torch
from tests.rollout.painting import Painter, requests

from genagent_data import PictureStore
from genagent_policy import Policy
from genagent_rollout import (
    EngineConfig,
    LocalEngine,
    RolloutBatch,
    SamplingConfig,
    SeededSampler,
    run_agents,
)
from genagent_rollout.sequence import Sequence as EngineSequence

SAMPLED = -1
"""In a script: let the policy sample this token."""

Script = Sequence[Sequence[int]]
"""Token ids of each turn of one conversation."""

Scripts = Sequence[Script] | Mapping[int, Script]
"""By the seed of each conversation."""


class ScriptedSampler:
    """Says what the script of a conversation's seed says, with the log-probs the policy gives it.

    Keeps the logits it was given, by seed and tokens before them.
    """

    def __init__(self, scripts: Scripts, config: SamplingConfig) -> None:
        self.scripts = scripts
        self.turns: dict[int, int] = {}
        self.temperature = config.temperature
        self.sampled = SeededSampler(config)
        self.logits: dict[tuple[int, int], torch.Tensor] = {}

    def choose(
        self, logits: torch.Tensor, sequences: Sequence[EngineSequence]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        tokens, _ = self.sampled.choose(logits, sequences)
        for place, sequence in enumerate(sequences):
            step = sequence.turn_tokens
            self.turns[sequence.number] = self.turns.get(sequence.number, -1) + (step == 0)
            written = self.scripts[sequence.seed][self.turns[sequence.number]][step]
            if written != SAMPLED:
                tokens[place] = written
            self.logits[sequence.seed, len(sequence.record.ids)] = logits[place]
        logprobs = torch.log_softmax(logits / self.temperature, dim=-1)
        return tokens, logprobs.gather(1, tokens[:, None])[:, 0]


class ScriptedEngine(LocalEngine):
    """The real engine and the real model, with other choices."""

    def __init__(
        self,
        policy: Policy,
        scripts: Scripts,
        sampling: SamplingConfig,
        config: EngineConfig | None = None,
    ) -> None:
        self.script = ScriptedSampler(scripts, sampling)
        super().__init__(policy, sampling, config, sampler=self.script)


@pytest.fixture
def scripted(tiny_policy: Policy) -> Callable[..., ScriptedEngine]:
    """``scripted(scripts, **sampling)``: a conversation with seed ``s`` follows ``scripts[s]``."""

    def build(
        scripts: Scripts,
        *,
        config: EngineConfig | None = None,
        policy: Policy = tiny_policy,
        max_turn_tokens: int = 64,
        max_response_tokens: int = 2048,
        **sampling,
    ) -> ScriptedEngine:
        options = SamplingConfig(
            max_turn_tokens=max_turn_tokens, max_response_tokens=max_response_tokens, **sampling
        )
        return ScriptedEngine(policy, scripts, options, config or EngineConfig(cache_gib=0.1))

    return build


@pytest.fixture
def act(
    tiny_policy: Policy, scripted: Callable[..., ScriptedEngine], tmp_path: Path
) -> Callable[..., RolloutBatch]:
    """``act(scripts, tool)`` with texts as turns; a list of ids stands for itself."""

    def run(
        scripts, tool=None, *, max_rounds: int = 2, batch: int | None = None, ended=None, **engine
    ) -> RolloutBatch:
        ids = [
            [tiny_policy.chat.turn_ids(turn) if isinstance(turn, str) else turn for turn in script]
            for script in scripts
        ]
        return run_agents(
            scripted(ids, **engine),
            Painter() if tool is None else tool,
            requests(len(scripts)),
            seeds=range(len(scripts)),
            max_rounds=max_rounds,
            store=PictureStore(tmp_path),
            batch=batch,
            ended=ended,
        )

    return run
