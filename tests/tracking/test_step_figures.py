"""A run's figures by step, in its folder."""

import json
import math

import pytest

from genagent_tracking.step_figures import StepFigures, figures_file, read_figures


def test_a_step_that_is_done_again_has_its_last_figures(tmp_path):
    first = StepFigures(tmp_path)
    first.add({"loss": 3.0, "reward": 0.1}, 1)
    first.add({"loss": 2.0}, 2)
    first.close()
    again = StepFigures(tmp_path)
    again.add({"loss": 2.5}, 2)
    again.add({"loss": math.nan, "reward": math.inf}, 3)
    again.add({"eval/success": 1}, 2)
    again.close()
    assert read_figures(tmp_path) == {
        "loss": {1: 3.0, 2: 2.5},
        "reward": {1: 0.1},
        "eval/success": {2: 1.0},
    }
    lines = [json.loads(line) for line in figures_file(tmp_path).read_text().splitlines()]
    assert lines[3] == {"step": 3, "loss": None, "reward": None}


def test_half_a_line_of_a_kill_is_left_out_and_then_cut_off(tmp_path):
    path = figures_file(tmp_path)
    path.write_text('{"step": 1, "loss": 3.0}\n{"step": 2, "lo')
    assert read_figures(tmp_path) == {"loss": {1: 3.0}}
    assert path.read_text().endswith('"lo')  # who only reads changes nothing
    figures = StepFigures(tmp_path)
    figures.add({"loss": 2.0}, 2)
    figures.close()
    assert read_figures(tmp_path) == {"loss": {1: 3.0, 2: 2.0}}


@pytest.mark.parametrize("line", ["{", "[]", '{"loss": 1}', '{"step": 1, "loss": "low"}'])
def test_a_line_that_is_none_is_named(tmp_path, line):
    figures_file(tmp_path).write_text(f'{{"step": 1}}\n{line}\n')
    with pytest.raises(ValueError, match=r"metrics\.jsonl:2: "):
        read_figures(tmp_path)


def test_no_file_is_no_figures(tmp_path):
    assert read_figures(tmp_path) == {}
