"""From options to strategies."""

from pathlib import Path

from genagent_rewards import KeptAnswers, OpenAIChat, OpenAIChatConfig
from genagent_rollout.conversation import Engine
from genagent_rollout.strategies.agent import Agent
from genagent_rollout.strategies.asking import Asking, ServedAsking
from genagent_rollout.strategies.best_of import BestOfN
from genagent_rollout.strategies.chat_models import (
    ChatReflector,
    ChatRewriter,
    ChatVerifier,
    read_prompts,
)
from genagent_rollout.strategies.config import Part, StrategyConfig, StrategyName
from genagent_rollout.strategies.first_prompt import FirstPrompt
from genagent_rollout.strategies.plain import Plain
from genagent_rollout.strategies.rewrite import Rewrite
from genagent_rollout.strategies.strategy import Strategy
from genagent_rollout.strategies.workflow import Workflow
from genagent_worlds import FrozenModels, Reflects, Rewrites, Verifies

WORDS = "words.sqlite"
"""What models said, in the folder of a run."""


class Opening:
    """What several strategies share: the engine, and one client of each model."""

    def __init__(
        self,
        config: StrategyConfig,
        work: Path,
        *,
        engine: Engine | None,
        policy: str,
        stand_in: FrozenModels | None,
        words: int | None,
    ) -> None:
        """See ``StrategyConfig.open``."""
        self._config = config
        self._engine = engine
        self._policy = policy
        self._stand_in = stand_in
        self._words = words
        self._rewrite, self._verify, self._reflect = read_prompts(config.prompts)
        self._clients: list[tuple[OpenAIChatConfig, Asking]] = []
        served = any(config.part(part).urls for part in config.parts)
        self._kept = KeptAnswers(work / WORDS) if served else None

    def strategy(self, name: StrategyName, rounds: int) -> Strategy:
        """One of them. Raises ValueError where what it wants is not given."""
        config = self._config
        match name:
            case "plain":
                return Plain()
            case "best-of":
                return BestOfN(config.best_of)
            case "rewrite":
                return Rewrite(self._rewriter())
            case "workflow":
                return Workflow(
                    verifier=self._verifier(),
                    writer=self._writer(),
                    rounds=rounds,
                    first=self._rewriter() if config.workflow_first == "rewrite" else None,
                    stop_when_right=config.stop_when_right,
                )
            case "agent":
                return Agent(engine=self._wanted(name), policy=self._policy, max_rounds=rounds)
            case "first-prompt":
                return FirstPrompt(engine=self._wanted(name), policy=self._policy)

    def _wanted(self, name: StrategyName) -> Engine:
        if self._engine is None or not self._policy:
            raise ValueError(f"strategy {name} wants a policy; give --policy FOLDER")
        return self._engine

    def _rewriter(self) -> Rewrites:
        if asking := self._asking("rewriter"):
            return ChatRewriter(asking, self._rewrite, words=self._words)
        return self._standing_in("rewriter").rewriter

    def _verifier(self) -> Verifies:
        if asking := self._asking("verifier"):
            return ChatVerifier(asking, self._verify)
        return self._standing_in("verifier").verifier

    def _writer(self) -> Reflects:
        if asking := self._asking("writer"):
            return ChatReflector(asking, self._reflect, words=self._words)
        return self._standing_in("writer").writer

    def _standing_in(self, part: Part) -> FrozenModels:
        if self._stand_in is None:
            raise ValueError(f"no model is given as {part}; give --{part}.urls and --{part}.model")
        return self._stand_in

    def _asking(self, part: Part) -> Asking | None:
        """The model behind endpoints, where some are named."""
        endpoints = self._config.part(part)
        if not endpoints.urls:
            return None
        config = endpoints.chat()
        # One model has one bound, whatever it is asked for.
        known = next((asking for used, asking in self._clients if used == config), None)
        if known is None:
            sampled = endpoints.temperature > 0
            known = ServedAsking(
                OpenAIChat(config),
                kept=self._kept,
                sampled=sampled,
                max_tokens=config.max_tokens,
            )
            self._clients.append((config, known))
        return known
