"""What became of attempts, out of an evaluation's files."""

from tests.study.cells import store
from tests.study.finished import MENDED, RIGHT, WRONG, keep_evaluation, outcomes

from genagent_data import PictureStore
from genagent_study import Cell
from genagent_study.result import Answers


def test_without_a_picture_it_has_failed_and_by_a_failed_tool_nothing_is_known(tmp_path):
    cell = Cell(script="evaluate.py", options=(), seed=0, title="sft", minutes=1.0)
    kept = store(tmp_path)
    passed = [MENDED, (), RIGHT, ()]
    keep_evaluation(kept, cell, {("sft", "flux-mini", "agent", 2): passed}, tool_failed=2)
    result = kept.find(cell)
    assert result is not None
    found = result.answers(policy="sft", tool="flux-mini", strategy="agent", rounds=2)
    assert list(found.success.values()) == [True, False, None, None]
    assert list(found.first.values()) == [False, False, True, None]
    assert found.rounds == 1.0  # two pictures and none; what the tool ended is left out


def test_a_request_without_a_picture_has_no_first_one_that_failed(tmp_path):
    found = Answers.of(outcomes(PictureStore(tmp_path), [RIGHT, MENDED, WRONG, ()], seed=0))
    assert found.failed_first == ["held-out-0-1", "held-out-0-2"]
    assert found.repair == 0.5
