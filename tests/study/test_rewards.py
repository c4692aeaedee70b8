"""Which requests two rewards are compared on."""

from tests.study.finished import MENDED, RIGHT, WRONG, outcomes

from genagent_data import PictureStore
from genagent_study.result import Answers
from genagent_study.sections.rewards import both_failed


def test_repair_is_compared_where_both_first_pictures_failed(tmp_path):
    pictures = PictureStore(tmp_path)
    one = Answers.of(outcomes(pictures, [RIGHT, MENDED, WRONG, WRONG, ()], seed=0))
    other = Answers.of(outcomes(pictures, [MENDED, WRONG, MENDED, RIGHT, ()], seed=0))
    assert both_failed(one, other) == (
        {"held-out-0-1": True, "held-out-0-2": False},
        {"held-out-0-1": False, "held-out-0-2": True},
    )
