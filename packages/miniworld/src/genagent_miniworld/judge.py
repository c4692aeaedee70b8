"""Who judges: the miniature's MLLM, the exact verifier, or a model behind an endpoint."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from genagent_data import PictureStore, reward_case
from genagent_miniworld.evaluation import Outcome
from genagent_miniworld.load import quietly, weights
from genagent_miniworld.verifier import Verifier
from genagent_rewards import (
    ChatModel,
    ComparesPictures,
    HybridReward,
    JudgesPictures,
    LocalChat,
    OpenAIChat,
    OpenAIChatConfig,
    PairwiseJudge,
    PointwiseJudge,
    RewardConfig,
    VerdictCache,
    audit_metrics,
)

REPLY_TOKENS = 320
"""Room for a reply of judge-mini: two pictures of nine items take 170."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgeConfig:
    """Whose verdicts are paid for."""

    name: str = "judge-mini"
    """"judge-mini", "verifier", a model folder, or OpenAI-compatible endpoints with commas between,
    such as http://localhost:8000/v1."""
    model: str = ""
    """Name by which endpoints know their model."""
    max_concurrency: int = 32
    """Questions in flight over all endpoints."""
    max_tokens: int = 2048
    """Of one reply from an endpoint or a folder."""

    def __post_init__(self) -> None:
        if self.is_remote and not self.model:
            raise ValueError(f"judge {self.name} wants the model's name (--judge.model)")
        if self.is_remote:
            self.endpoint()
        elif self.name not in ("judge-mini", "verifier") and not Path(self.name).is_dir():
            raise ValueError(
                f"no judge {self.name!r}; give judge-mini, verifier, a model folder or a URL"
            )

    @property
    def is_remote(self) -> bool:
        return self.name.startswith(("http://", "https://"))

    def endpoint(self) -> OpenAIChatConfig:
        """Raises ValueError for a URL or a bound that cannot be."""
        return OpenAIChatConfig(
            base_urls=tuple(url.strip() for url in self.name.split(",")),
            model=self.model,
            max_concurrency=self.max_concurrency,
            max_tokens=self.max_tokens,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Judges:
    """Both judges of a hybrid reward."""

    point: JudgesPictures
    pair: ComparesPictures

    def take_counts(self) -> dict[str, float]:
        """``judge/asked``, ``judge/cached``, ``judge/absent`` since the last call; nothing for the
        verifier, which asks nobody."""
        counts = [
            judge.take_counts()
            for judge in (self.point, self.pair)
            if isinstance(judge, PointwiseJudge | PairwiseJudge)
        ]
        names = ("asked", "cached", "absent")
        return {f"judge/{n}": float(sum(getattr(c, n) for c in counts)) for n in names if counts}


def load_judge(folder: Path | None = None) -> LocalChat:
    """The miniature's MLLM judge as a chat model, the one that ships unless another is given."""
    quietly()
    return LocalChat.load(folder or weights("judge-mini"), max_tokens=REPLY_TOKENS, batch_size=128)


def load_judges(config: JudgeConfig, *, cache: Path | None = None) -> Judges:
    """The judges, their verdicts kept in the file ``cache``.

    Raises:
        ValueError: the folder holds no model, an endpoint does not answer, or the cache is damaged.
    """
    if config.name == "verifier":
        return Judges(point=Verifier(), pair=Verifier())
    chat: ChatModel
    if config.is_remote:
        chat = OpenAIChat(config.endpoint())
        chat.check()
    elif config.name == "judge-mini":
        chat = load_judge()
    else:
        chat = LocalChat.load(config.name, max_tokens=config.max_tokens)
    kept = None if cache is None else VerdictCache(cache)
    return Judges(point=PointwiseJudge(chat, cache=kept), pair=PairwiseJudge(chat, cache=kept))


def audit_outcomes(
    outcomes: Sequence[Outcome], judges: Judges, store: PictureStore
) -> dict[str, float]:
    """The judge's success beside the true one on the last pictures of an evaluation:
    ``judged_success``, ``false_accept``, ``false_reject``, as ``audit_metrics`` has them."""
    cases = [reward_case(outcome.trajectory, store) for outcome in outcomes]
    points_only = RewardConfig(single_round="none")
    judged = HybridReward(judges.point, judges.pair, points_only).score(cases, seed=0)
    true = HybridReward(Verifier(), Verifier(), points_only).score(cases, seed=0)
    metrics = audit_metrics(judged, true)
    names = ("judged_success", "false_accept", "false_reject")
    return {name: metrics[f"audit/{name}"] for name in names if f"audit/{name}" in metrics}
