"""How far the requests of a synthesis come, and what that asks of teacher, tool and judge.

Sources of the defaults. Shares: 10,000 requests of the miniature, docs/synthesis.md; its teacher
knows the truth, so that one which is a model agrees with the judge less often. Sizes and seconds:

- 1,024 tokens of a picture: Qwen3-VL's, of 1024x1024; others count otherwise.
- 400 tokens of a question: our own words are 120 to 330, a request with its checklist, the prompt
  that was tried and what was said of it 60 to 250.
- 2,000 tokens and a minute of a teacher's reply: assumed for one that thinks, at 33 a second.
- 300 tokens and 5 s of a verdict: as the plan of RL has it, 32 of them side by side.
- a picture in 2.2 s: FLUX.1-dev in 8 steps on an H100, computed in ``assumptions``.
"""

from dataclasses import dataclass

from genagent_data import Funnel

SHARES = ("hard", "written", "agreed", "first_right", "improved", "second_right", "balanced")
"""Options that the counts of a synthesis give."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SynthesisPlanConfig:
    """How much is kept, and how fast and how talkative everything is taken to be."""

    records: int = 0
    """Records that are wanted; 0: what the requests come to."""
    hard: float = 0.475
    """Share of requests that no plain picture satisfies."""
    written: float = 1.0
    """Share of the teacher's thoughts and prompts that are well formed and drawn."""
    agreed: float = 0.996
    """Share of the teacher's judgements that the judge agrees with."""
    first_right: float = 0.49
    """Share of first pictures that are right; the others are reflected on."""
    improved: float = 0.755
    """Share of second pictures that beat the first."""
    second_right: float = 0.86
    """Share of these that are right; the others end in a call that is never drawn."""
    balanced: float = 0.855
    """Share of trajectories that is left when task types and endings are balanced."""
    references: float = 0.0
    """Share of requests with a reference picture, which is shown to who reflects; counted where
    there is a file of requests."""
    picture_side: int = 1024
    """Pixels of a picture's side."""
    picture_seconds: float = 2.2
    """Of one picture on one GPU."""
    image_gpus: int = 1
    """That draw; one for each image server that is named."""
    question_tokens: int = 400
    """Mean of a question to teacher or judge, without pictures."""
    picture_tokens: int = 1024
    """That teacher and judge read a picture as."""
    reply_tokens: int = 2000
    """Mean of a teacher's reply, its thoughts included."""
    reply_seconds: float = 60.0
    """Of one reply."""
    verdict_tokens: int = 300
    """Mean of a verdict of the judge."""
    verdict_seconds: float = 5.0
    """Of one verdict."""

    def __post_init__(self) -> None:
        for name in (*SHARES, "references"):
            if not 0 <= (share := getattr(self, name)) <= 1:
                raise ValueError(f"{name} is {share}; wants a share, 0 to 1")
        for name in (name for name in self.__slots__ if name not in (*SHARES, "references")):
            least = "0 or more" if name == "records" else "more than 0"
            value = getattr(self, name)
            if not (0 < value < float("inf") or (name == "records" and value == 0)):
                raise ValueError(f"{name} is {value}; wants {least}")


MINIATURE_SYNTHESIS = SynthesisPlanConfig(
    picture_side=48, picture_seconds=0.011, verdict_seconds=0.0075
)
"""Of tool and judge in one process, on a quiet core."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StageTraffic:
    """Of one stage: requests that come in and are kept, and what it asks for."""

    name: str
    coming: float
    kept: float
    teacher: float = 0.0
    tool: float = 0.0
    judge: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Questions:
    """Of one kind to one model. Example: ``Questions(kind="reflect", pictures=2, asked=33)``"""

    kind: str
    pictures: int
    """Shown with each."""
    asked: float


@dataclass(frozen=True, kw_only=True, slots=True)
class SynthesisTraffic:
    """Of a whole synthesis.

    Example: ``synthesis_traffic(10_000, plain=3, given=SynthesisPlanConfig()).records``
    """

    stages: tuple[StageTraffic, ...]
    teacher: tuple[Questions, ...]
    judge: tuple[Questions, ...]
    record_pictures: float
    """Of all records."""

    @property
    def records(self) -> float:
        return self.stages[-1].kept

    @property
    def pictures(self) -> float:
        return sum(stage.tool for stage in self.stages)


def synthesis_traffic(
    requests: float, *, plain: int, given: SynthesisPlanConfig
) -> SynthesisTraffic:
    """What so many requests come to by these shares.

    Args:
        plain: pictures of the bare request that must all fail.
    """
    # A mean of powers is at least that power of the mean: so many at most, as some requests are
    # harder than others.
    tried = requests * sum(given.hard ** (number / plain) for number in range(plain))
    hard = requests * given.hard
    opened = hard * given.written
    judged = opened * given.agreed
    wrong = judged * (1 - given.first_right)
    reflected = wrong * given.written
    improved = reflected * given.improved
    unfinished = improved * (1 - given.second_right)
    right, closed = judged - wrong, improved * given.agreed
    shown = (wrong + unfinished) * given.references
    stages = (
        StageTraffic(name="hard", coming=requests, kept=hard, tool=tried, judge=tried),
        StageTraffic(name="open", coming=hard, kept=opened, teacher=hard),
        StageTraffic(name="draw", coming=opened, kept=opened, tool=opened),
        StageTraffic(name="judge", coming=opened, kept=judged, teacher=opened, judge=opened),
        StageTraffic(name="reflect", coming=judged, kept=right + reflected, teacher=wrong),
        StageTraffic(
            name="redraw",
            coming=right + reflected,
            kept=right + improved,
            tool=reflected,
            judge=reflected,
        ),
        StageTraffic(
            name="close",
            coming=right + improved,
            kept=right + closed,
            teacher=improved + unfinished,
            judge=improved,
        ),
        StageTraffic(name="balance", coming=right + closed, kept=(right + closed) * given.balanced),
    )
    return SynthesisTraffic(
        stages=stages,
        teacher=(
            Questions(kind="open", pictures=0, asked=hard),
            Questions(kind="judge", pictures=1, asked=opened + improved),
            Questions(kind="reflect", pictures=1, asked=wrong + unfinished - shown),
            Questions(kind="reflect", pictures=2, asked=shown),
        ),
        judge=(
            Questions(kind="point", pictures=1, asked=tried + opened + improved),
            Questions(kind="pair", pictures=2, asked=reflected),
        ),
        record_pictures=(right + 2 * closed) * given.balanced,
    )


def counted_shares(funnel: Funnel) -> dict[str, float]:
    """Options of ``SHARES`` as a synthesis has come to them; those alone of which it has any."""
    stages = {stage.name: stage for stage in funnel.stages}
    coming = {name: stage.kept + stage.dropped for name, stage in stages.items()}
    asked = {name: stage.calls.get("teacher", 0) for name, stage in stages.items()}
    wrong = asked["reflect"]
    reflected = wrong - stages["reflect"].dropped
    improved = reflected - stages["redraw"].dropped
    unwritten = sum(stages[name].dropped for name in ("open", "draw", "reflect"))
    disagreed = stages["judge"].dropped + stages["close"].dropped
    judgements = coming["judge"] + improved
    right = stages["judge"].kept - wrong
    unfinished = asked["close"] - improved
    counts = {
        "hard": (stages["hard"].kept, coming["hard"]),
        "written": (coming["open"] + wrong - unwritten, coming["open"] + wrong),
        "agreed": (judgements - disagreed, judgements),
        "first_right": (right, stages["judge"].kept),
        "improved": (improved, reflected),
        "second_right": (improved - unfinished, improved),
        "balanced": (stages["balance"].kept, coming["balance"]),
    }
    return {name: round(part / of, 4) for name, (part, of) in counts.items() if of}
