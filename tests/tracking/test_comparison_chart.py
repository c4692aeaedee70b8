"""The chart of a comparison."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genagent_tracking.comparison_chart import Compared, draw_comparison
from genagent_worlds import Estimate


def point(panel: str, name: str, value: float) -> Compared:
    score = Estimate(value=value, interval=(value - 0.1, value + 0.1), n=40)
    return Compared(panel=panel, name=name, score=score, first=score)


def test_a_higher_score_stands_further_right_in_its_own_row(tmp_path: Path):
    path = tmp_path / "chart.png"
    points = [point("a", "plain", 0.2), point("a", "agent", 0.8)]
    draw_comparison(path, points, title="$x$ & <b>", unit="success")
    pixels = np.asarray(Image.open(path).convert("RGB"))
    rows, columns = np.nonzero((pixels == (31, 111, 235)).all(axis=2))
    upper = rows < np.median(rows)

    assert columns[upper].max() < columns[~upper].min()


def test_nothing_to_compare_is_said(tmp_path: Path):
    with pytest.raises(ValueError, match="nothing to compare"):
        draw_comparison(tmp_path / "chart.png", [], title="t", unit="u")
