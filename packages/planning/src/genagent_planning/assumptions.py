"""What a plan takes for granted. Whoever has measured something better says so.

Sources of the defaults, for an H100 of 80 GB:

- 1,600 tokens a second and GPU: EasyR1's published range for Qwen2.5-VL-7B is 1,600 to 2,000, on
  H100 with vLLM, one turn and one picture; nobody publishes it for several turns.
- a picture in 2.2 s: 12e9 weights of FLUX.1-dev, 2 operations each, for 4,608 tokens in 8 steps are
  0.88e15; at 40 % of 989e12 a second.
- 2,000 tokens a second and judge: assumed for a 30B-A3B on two GPUs.
- 200 tokens of a question: our own words are 140, a request with five hints 60.
- 1,024 tokens of a picture: Qwen3-VL's, of 1024x1024; other judges count otherwise.
- 34 GiB for FLUX.1-dev at 1024x1024: vLLM-Omni's table (33.9).
"""

from dataclasses import dataclass

GIB = 2**30


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanConfig:
    """The machine, and how fast and how talkative everything is taken to be."""

    gpus: int = 8
    """In all, servers' included."""
    gpu_gib: float = 80.0
    """Memory of one; a twelfth of it is left free."""
    node_gpus: int = 8
    """In one machine."""
    picture_side: int = 1024
    """Pixels of a picture's side."""
    prompt_tokens: int = 350
    """System message and request."""
    turn_tokens: int = 300
    """Mean of a turn of the agent."""
    rounds: float = 2.0
    """Mean pictures of an attempt, at most those that are allowed."""
    record_tokens: int = 3500
    """Mean of a record of fine-tuning, pictures included."""
    question_tokens: int = 200
    """Mean of a question to the judge, without its pictures."""
    judge_picture_tokens: int = 1024
    """That the judge reads a picture as."""
    verdict_tokens: int = 300
    """Mean of a verdict of the judge."""
    decode_per_second: float = 1600.0
    """Tokens that a GPU samples."""
    pictures_per_second: float = 0.45
    """That a GPU of the tool draws."""
    verdict_tokens_per_second: float = 2000.0
    """Tokens that one judge writes."""
    tflops: float = 989.0
    """Of a GPU, 1e12 operations a second in bfloat16."""
    used: float = 0.35
    """Share of them that the update makes use of."""
    tool_gib: float = 34.0
    """Memory of the tool with its pictures."""
    judge_gpus: int = 2
    """That one judge takes."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is {getattr(self, name)}; wants more than 0")
        if self.used > 1:
            raise ValueError(f"used is {self.used}; wants a share, at most 1")

    @property
    def room(self) -> int:
        """Bytes of a GPU that may be planned with."""
        return int(self.gpu_gib * GIB * 11 / 12)


MINIATURE = PlanConfig(
    picture_side=48, prompt_tokens=160, turn_tokens=40, rounds=1.5, record_tokens=300
)
"""Of a world of small pictures, tokens of many letters and short turns."""
