"""A cell's row of a request: prompt, picture and score belong together."""

from pathlib import Path

from PIL import Image

from genagent_data import Picture, PictureStore, Request, Round, Trajectory
from genagent_tracking.comparison import _request_row
from genagent_worlds import Score, ScoredAttempt


def drawn(prompt: str, picture: Picture | None) -> Round:
    return Round(thinking="t", tool_prompt=prompt, picture=picture, seed=0, tool_seconds=0.1)


def test_the_prompt_is_that_of_the_picture_that_counts(tmp_path: Path):
    store = PictureStore(tmp_path)
    red, blue = (store.put(Image.new("RGB", (4, 4), color)) for color in ("red", "blue"))
    request = Request(id="7", prompt="a red picture")

    def row(rounds: tuple[Round, ...], values: tuple[float, ...], chosen: int | None):
        attempt = ScoredAttempt(
            trajectory=Trajectory(request=request, rounds=rounds, answer="a", ending="answer"),
            turns=(),
            seconds=1.0,
            results=tuple(Score(value=value) for value in values),
            chosen=chosen,
        )
        found = _request_row(attempt)
        return found["prompt"], found["picture"], found["score"]

    both = (drawn("first", red), drawn("second", blue))
    assert row(both, (1.0, 0.0), 0) == ("first", red.name, 1.0)
    assert row(both, (1.0, 0.0), 1) == ("second", blue.name, 0.0)
    failed = (drawn("first", red), drawn("second", None))
    assert row(failed, (1.0,), 0) == ("first", red.name, 1.0)
    assert row((drawn("only", None),), (), None) == ("only", "", "missing")
    assert row((), (), None) == ("", "", "missing")
