"""A strategy of your own: the request's words under one seed after another, until a verifier is
content.

    uv run examples/your_strategy.py
"""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from genagent_data import PictureStore, Request, derive_seed
from genagent_miniworld import Miniature, ScriptedModel
from genagent_rollout import Answered, Attempt, Plain, Strategy, answer_all
from genagent_rollout.drawing import Drawing
from genagent_worlds import Verifies, measure

REQUESTS = 24


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """Draws again and again, as who has no better words for it."""

    verifier: Verifies
    most: int

    @property
    def name(self) -> str:
        """With all that the results depend on: they are kept by it."""
        return f"patience(most={self.most}, verifier={self.verifier.name})"

    async def answer(self, request: Request, drawing: Drawing, *, seed: int) -> Answered:
        """See ``Strategy``. What fails, tool or model, ends the attempt and is named in it."""
        attempt = Attempt(request=request, drawing=drawing, seed=seed)
        while len(attempt.rounds) < self.most:
            picture = await attempt.draw(request.prompt)
            if picture is None:
                break
            own_seed = derive_seed(seed, "verify", len(attempt.rounds))
            words = self.verifier.verify(
                request, prompt=request.prompt, picture=picture, seed=own_seed
            )
            judgement = await attempt.hear("verifier", words)
            if judgement is None:
                break
            attempt.judge(judgement.words)
            if judgement.right:
                return attempt.answered("answer", answer="")
        return attempt.answered("out_of_rounds")


def main() -> None:
    """Hold it against the plain tool in the miniature, whose truth is known."""
    with TemporaryDirectory() as folder:
        world = Miniature().open(Path(folder), seed=0)
        requests = world.held_out[:REQUESTS]
        seeds = [derive_seed(0, request.id) for request in requests]
        store = PictureStore(Path(folder) / "pictures")
        strategies: list[Strategy] = [Plain(), Patience(verifier=ScriptedModel(), most=4)]
        for strategy in strategies:
            answers = answer_all(strategy, world.tool, requests, seeds=seeds, store=store)
            outcomes = measure(world, [answer.trajectory for answer in answers])
            right = sum(outcome.success is True for outcome in outcomes)
            pictures = sum(len(outcome.passed) for outcome in outcomes)
            print(f"{strategy.name}: {right} of {len(requests)} right, {pictures} pictures")


if __name__ == "__main__":
    main()
