"""What a step asks for: tokens, pictures, verdicts, and what of it stays on the disk."""

from dataclasses import dataclass, field

from genagent_rewards import RewardConfig

BYTES_OF_A_PIXEL = 1.5
"""Of a PNG; a photograph-like picture of 1024x1024 has 1 to 2 MB."""
ROUND_TOKENS = 12
"""Around a picture: the markup of its observation."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StepTraffic:
    """Of one step of RL, and of one evaluation.

    Example: 32 requests, 12 attempts of two pictures and 8 of them kept are 768 pictures, 256
    questions about one picture and 256 about two.
    """

    requests: int
    samples: int
    keep: int
    rounds: float
    prompt_tokens: int
    turn_tokens: int
    picture_tokens: int
    held_out: int
    evaluation_rounds: float
    truth: bool
    """Evaluations ask no judge about every picture: the truth is known."""
    reward: RewardConfig = field(default_factory=RewardConfig)

    @property
    def attempts(self) -> int:
        return self.requests * self.samples

    @property
    def pictures(self) -> float:
        anchors = self.requests if self.reward.anchored else 0
        return self.attempts * self.rounds + anchors

    @property
    def sampled_tokens(self) -> float:
        """Of all attempts; a turn for each picture and one to look at the last."""
        return self.attempts * (self.rounds + 1) * self.turn_tokens

    @property
    def attempt_tokens(self) -> float:
        """Of one attempt as it is learnt from."""
        seen = self.rounds * (self.picture_tokens + ROUND_TOKENS)
        return self.prompt_tokens + (self.rounds + 1) * self.turn_tokens + seen

    @property
    def learnt_tokens(self) -> float:
        return self.requests * self.keep * self.attempt_tokens

    @property
    def point_questions(self) -> float:
        asked = self.rounds if self.reward.asks_about_every_picture else 1.0
        return self.requests * self.keep * asked

    @property
    def pair_questions(self) -> float:
        if self.reward.single_round == "none":
            return 0.0
        orders = 2 if self.reward.both_orders else 1
        pairs = max(0.0, self.rounds - 1) + self.reward.anchored
        return self.requests * self.keep * pairs * orders

    @property
    def evaluation_pictures(self) -> float:
        return self.held_out * self.evaluation_rounds

    @property
    def evaluation_questions(self) -> float:
        return float(self.held_out) if self.truth else self.evaluation_pictures


def picture_bytes(side: int) -> float:
    """Of one in the run's folder."""
    return BYTES_OF_A_PIXEL * side * side
