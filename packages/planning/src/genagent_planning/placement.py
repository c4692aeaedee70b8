"""Which GPUs train, sample, draw and judge: the split that makes a step shortest."""

from collections.abc import Iterator
from dataclasses import dataclass

from genagent_planning.assumptions import PlanConfig
from genagent_planning.memory import Memory, MemoryModel
from genagent_planning.traffic import StepTraffic


@dataclass(frozen=True, kw_only=True, slots=True)
class Seconds:
    """Of one step. Pictures are drawn and judged while others are sampled."""

    sampling: float
    drawing: float
    judging: float
    updating: float

    @property
    def step(self) -> float:
        return max(self.sampling, self.drawing, self.judging) + self.updating


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """How many GPUs each has, with the memory of one that trains."""

    training: int
    sampling: int
    """Of vLLM; 0: those that train sample too."""
    tools: int
    judges: int
    judge_gpus: int
    memory: Memory
    seconds: Seconds

    def nodes(self, node_gpus: int) -> list[str]:
        """Who is where, a line a machine; no judge is cut by the edge of one if it fits."""
        places = ["training"] * self.training + ["rollouts"] * self.sampling
        places += ["pictures"] * self.tools + ["judge"] * (self.judges * self.judge_gpus)
        return [
            ", ".join(_spans(places[start : start + node_gpus]))
            for start in range(0, len(places), node_gpus)
        ]


def best_placement(
    model: MemoryModel, traffic: StepTraffic, given: PlanConfig, *, gpus: int, served: bool
) -> Placement | None:
    """The split of so many GPUs with the shortest step of all in which training fits.

    Args:
        served: whether rollouts have GPUs of their own.
    """
    found = None
    for training, sampling, tools, judges in _splits(gpus, given.judge_gpus, served=served):
        memory = model.on(gpus=training)
        if memory.total > given.room:
            continue
        seconds = _seconds(
            model, traffic, given, training=training, sampling=sampling, tools=tools, judges=judges
        )
        if found is None or seconds.step < found.seconds.step:
            found = Placement(
                training=training,
                sampling=sampling,
                tools=tools,
                judges=judges,
                judge_gpus=given.judge_gpus,
                memory=memory,
                seconds=seconds,
            )
    return found


def update_seconds(model: MemoryModel, tokens: float, given: PlanConfig, *, gpus: int) -> float:
    """Of learning from so many tokens: 6 operations a weight and token, of which 2 are its
    gradient's, and 2 more where layers run twice; a frozen vision tower runs forward alone."""
    each = 6 if model.model.lora is None else 4
    each += 2 if model.training.checkpoint_activations else 0
    weights = model.model.weights - model.model.vision_weights
    return each * weights * tokens / (gpus * given.tflops * 1e12 * given.used)


def _splits(gpus: int, judge_gpus: int, *, served: bool) -> Iterator[tuple[int, int, int, int]]:
    for judges in range(1, gpus // judge_gpus + 1):
        for tools in range(1, gpus - judges * judge_gpus):
            rest = gpus - judges * judge_gpus - tools
            for sampling in range(1, rest) if served else (0,):
                yield rest - sampling, sampling, tools, judges


def _seconds(
    model: MemoryModel,
    traffic: StepTraffic,
    given: PlanConfig,
    *,
    training: int,
    sampling: int,
    tools: int,
    judges: int,
) -> Seconds:
    verdicts = traffic.point_questions + traffic.pair_questions
    return Seconds(
        sampling=traffic.sampled_tokens / (given.decode_per_second * (sampling or training)),
        drawing=traffic.pictures / (given.pictures_per_second * tools),
        judging=verdicts * given.verdict_tokens / (given.verdict_tokens_per_second * judges),
        updating=update_seconds(model, traffic.learnt_tokens, given, gpus=training),
    )


def _spans(places: list[str]) -> Iterator[str]:
    """Example: ``["training 0-4", "pictures 5", "judge 6-7"]``"""
    start = 0
    for place in range(1, len(places) + 1):
        if place == len(places) or places[place] != places[start]:
            span = str(start) if place - start == 1 else f"{start}-{place - 1}"
            yield f"{places[start]} {span}"
            start = place
