"""A static workflow: verify, reflect, draw again, a fixed number of times."""

from dataclasses import dataclass

from genagent_data import Request, derive_seed
from genagent_rollout.drawing import Drawing
from genagent_rollout.strategies.attempt import Attempt
from genagent_rollout.strategies.strategy import Answered
from genagent_worlds import Reflects, Rewrites, Tried, Verifies


@dataclass(frozen=True, kw_only=True, slots=True)
class Workflow:
    """ReflectionFlow's kind (2504.16080), with frozen models: after each picture but the last one
    model says what is wrong, another writes the next prompt.

    Nobody decides when to stop: with a picture that is taken for right it goes on all the same,
    unless ``stop_when_right``. Then the last picture is judged too, as an agent judges its own.
    """

    verifier: Verifies
    writer: Reflects
    rounds: int
    """Pictures of each request."""
    first: Rewrites | None = None
    """Writes the first prompt; the request's own words by default."""
    stop_when_right: bool = False

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise ValueError(f"rounds is {self.rounds}; wants 1 picture or more")

    @property
    def name(self) -> str:
        """See ``Strategy``."""
        first = "" if self.first is None else f", first={self.first.name}"
        stop = ", stop_when_right" if self.stop_when_right else ""
        return (
            f"workflow(rounds={self.rounds}, verifier={self.verifier.name}, "
            f"writer={self.writer.name}{first}{stop})"
        )

    async def answer(self, request: Request, drawing: Drawing, *, seed: int) -> Answered:
        """See ``Strategy``."""
        attempt = Attempt(request=request, drawing=drawing, seed=seed)
        prompt, thinking = request.prompt, None
        if self.first is not None:
            words = self.first.rewrite(request, seed=derive_seed(seed, "rewrite"))
            call = await attempt.hear("rewriter", words)
            if call is None:
                return attempt.answered()
            prompt, thinking = call.prompt, call.thinking or None
        tried: list[Tried] = []
        while True:
            picture = await attempt.draw(prompt, thinking=thinking)
            is_last = len(attempt.rounds) == self.rounds
            if picture is None or (is_last and not self.stop_when_right):
                return attempt.answered()
            judgement = await attempt.hear(
                "verifier",
                self.verifier.verify(
                    request,
                    prompt=prompt,
                    picture=picture,
                    seed=derive_seed(seed, "verify", len(tried)),
                ),
            )
            if judgement is None:
                return attempt.answered()
            attempt.judge(judgement.words)
            if self.stop_when_right and judgement.right:
                return attempt.answered("answer", answer="")
            if is_last:
                return attempt.answered("out_of_rounds")
            tried.append(Tried(prompt=prompt, picture=picture, judgement=judgement))
            words = self.writer.reflect(
                request, tried=tuple(tried), seed=derive_seed(seed, "reflect", len(tried))
            )
            call = await attempt.hear("writer", words)
            if call is None:
                return attempt.answered()
            prompt, thinking = call.prompt, call.thinking or None
