"""What became of a request, for people to look at. Nothing here loads torch."""

from dataclasses import dataclass

from genagent_data import Picture, Request, Trajectory


@dataclass(frozen=True, kw_only=True, slots=True)
class Answered:
    """What became of a request. Tokens are left behind: one of FLUX's pictures alone is 3 MB of
    them."""

    trajectory: Trajectory
    turns: tuple[str, ...]
    """The agent's words of each turn, to the letter, broken ones included."""
    turn_seconds: tuple[float, ...]
    """That each turn was waited for."""
    seed: int
    seconds: float

    @property
    def request(self) -> Request:
        return self.trajectory.request

    @property
    def picture(self) -> Picture | None:
        """The last one, which counts; None where there is none."""
        pictures = self.trajectory.pictures
        return pictures[-1] if pictures else None

    @property
    def counts(self) -> int | None:
        """The number of the round whose picture counts, from 1."""
        return max((n for n, r in enumerate(self.trajectory.rounds, 1) if r.picture), default=None)


def ending_words(trajectory: Trajectory) -> str:
    """How it ended, in a sentence for people."""
    last = "the last picture counts" if trajectory.pictures else "there is no picture"
    if trajectory.ending == "answer":
        return "The agent took the last picture for right and answered."
    if trajectory.ending == "out_of_rounds":
        return f"The agent would have drawn again, but its rounds were used up; {last}."
    if trajectory.ending == "tool_failure":
        return f"The tool failed ({trajectory.error}); {last}."
    remedy = "; allow it more with --sampling.max-turn-tokens" * (trajectory.error == "cut_off")
    return f"The agent's last turn broke the protocol ({trajectory.error}{remedy}); {last}."
