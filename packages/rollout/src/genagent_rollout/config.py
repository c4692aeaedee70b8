"""How an agent acts, as options. Nothing here loads torch, which takes seconds."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True, slots=True)
class SamplingConfig:
    """How turns are sampled."""

    temperature: float = 1.0
    """0 takes the likeliest token each time."""
    top_p: float = 1.0
    """Only the fewest likeliest tokens whose probabilities reach it are drawn; 1: all."""
    top_k: int = 0
    """Only so many likeliest tokens are drawn; 0: all."""
    stop_tokens: tuple[int, ...] = ()
    """Ids of tokens that end a turn, besides the end of turn."""
    max_turn_tokens: int = 96
    """A turn that has not ended by then is cut off."""
    max_response_tokens: int = 16_384
    """Everything after the prompt, pictures included; the turn in which it runs out is cut off. A
    picture is always shown whole; where nothing is left after it, one token is sampled."""
    max_batch: int = 256
    """Conversations run side by side; memory grows with it."""

    def __post_init__(self) -> None:
        if self.temperature < 0:
            raise ValueError(f"temperature is {self.temperature}; wants 0 or more")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p is {self.top_p}; wants a number above 0, at most 1")
        if self.top_k < 0:
            raise ValueError(f"top_k is {self.top_k}; wants 0 or more")
        for name in ("max_turn_tokens", "max_response_tokens", "max_batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; wants 1 or more")

    @property
    def name(self) -> str:
        """All that what is said depends on, beside policy and seed: in what portions it is sampled
        changes no more than float noise."""
        return repr(replace(self, max_batch=SamplingConfig().max_batch))

    def check_learnable(self) -> None:
        """Raises ValueError where the trainer, which takes the whole softmax at this temperature,
        would give other log-probs than these."""
        if self.temperature == 0:
            raise ValueError("sampling.temperature is 0; learning wants one above 0")
        if self.top_p < 1:
            raise ValueError(f"sampling.top_p is {self.top_p}; learning wants 1")
        if self.top_k:
            raise ValueError(f"sampling.top_k is {self.top_k}; learning wants 0")


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupConfig:
    """How many attempts make a step."""

    requests_per_step: int = 16
    """Requests that a step learns from."""
    samples: int = 12
    """G': attempts at each request."""
    keep: int = 8
    """G: attempts that are kept, rounds as even as possible."""
    max_rounds: int = 3
    """Pictures the agent may draw in training."""
    shared_first: float = 0.0
    """Share of a step's groups whose attempts have one first turn and picture in common, from which
    nothing is learnt: those groups teach what to make of a picture, and no first prompt."""
    dynamic_sampling: int = 0
    """Up to so many times a step, groups whose rewards are all equal, from which nothing can be
    learnt, are replaced by attempts at other requests (DAPO); 0: never. Each time costs their
    pictures and verdicts."""
    one_step_off: bool = False
    """Whether a step's attempts are sampled, drawn and judged while the step before is learnt from,
    with weights one update older (AReaL with a staleness of 1, verl's one_step_off_policy): tool
    and judge keep nobody waiting. Wants grpo.truncate_at, and the weights' memory once more where
    turns are sampled in this process."""
    draw_batch: int | None = None
    """Pictures that a tool in this process draws at once, while the agent goes on with others;
    None: all that are asked for until no turn is being sampled. Servers batch themselves."""

    def __post_init__(self) -> None:
        for name in ("requests_per_step", "samples", "keep", "max_rounds"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; wants 1 or more")
        if not 0 <= self.shared_first <= 1:
            raise ValueError(f"shared_first is {self.shared_first}; wants a share from 0 to 1")
        if self.dynamic_sampling < 0:
            raise ValueError(f"dynamic_sampling is {self.dynamic_sampling}; wants 0 or more")
        if self.draw_batch is not None and self.draw_batch < 1:
            raise ValueError(f"draw_batch is {self.draw_batch}; wants 1 or more, or None")
        if self.samples < self.keep:
            raise ValueError(f"cannot keep {self.keep} of {self.samples} samples; raise samples")


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationConfig:
    """What an evaluation covers."""

    held_out: int = 450
    """At most so many held-out requests, evenly over their tasks."""
    evaluation_rounds: int = 2
    """Pictures the agent may draw for each."""

    def __post_init__(self) -> None:
        for name in ("held_out", "evaluation_rounds"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; wants 1 or more")
