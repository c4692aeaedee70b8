"""A request's attempts as a figure: its words and marks, read back from an SVG."""

from pathlib import Path

import pytest
from tests.worlds.builders import flat, trajectory

from genagent_tracking import draw_outcomes
from genagent_worlds import Outcome


def words(path: Path) -> list[str]:
    """The texts of an SVG; matplotlib names each in a comment."""
    lines = path.read_text().splitlines()
    return [line.strip()[5:-4] for line in lines if line.strip().startswith("<!-- ")]


def test_each_picture_says_who_asked_for_it_who_judged_it_and_what_the_agent_said(tmp_path):
    before = trajectory(0, flat("red", 4), flat("blue", 4), ending="answer", task="color")
    after = trajectory(0, flat("green", 4), ending="answer", task="color")
    draw_outcomes(
        tmp_path / "figure.svg",
        {
            "before": Outcome(trajectory=before, passed=(False, None), source="judge"),
            "after": Outcome(trajectory=after, passed=(True,), source="truth"),
        },
    )
    said = words(tmp_path / "figure.svg")
    assert said.count("before") == said.count("after") == 1
    assert [word for word in said if word.startswith(("judge", "truth"))] == [
        "judge: ✗ wrong",
        "judge: no verdict",
        "truth: ✓ right",
    ]
    assert said.count("agent to tool: “p”") == said.count("agent: “words”") == 3
    assert f"“{before.request.prompt}”" in said


def test_a_figure_of_no_pictures_is_refused(tmp_path):
    nothing = trajectory(0, ending="format_error", task="color")
    outcome = Outcome(trajectory=nothing, passed=(), source="truth")
    with pytest.raises(ValueError, match="no attempt has a picture"):
        draw_outcomes(tmp_path / "figure.png", {"before": outcome})
