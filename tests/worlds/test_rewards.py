"""A reward of one's own stands where the hybrid one does, and is refused before it is used."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from genagent_rewards import HybridReward, PairQuestion, Picture, PointQuestion, RewardCase, Verdict
from genagent_rewards import RewardConfig as Config
from genagent_worlds import Judges, open_reward, reward_problems


class Kind:
    """Passes everything and prefers the picture that is shown second."""

    def judge(self, questions: Sequence[PointQuestion]) -> list[Verdict | None]:
        return [Verdict(choice="yes", reason="", judge="kind") for _ in questions]

    def compare(self, questions: Sequence[PairQuestion]) -> list[Verdict | None]:
        return [Verdict(choice="second", reason="", judge="kind") for _ in questions]


JUDGES = Judges(point=Kind(), pair=Kind())
THRIFTY = "examples.your_reward:Thrifty"


def test_the_example_pays_five_hundredths_less_for_a_further_picture(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
    config = Config(own=THRIFTY, single_round="none")
    assert reward_problems(config) == []
    pictures = tuple(Picture.of(Image.new("RGB", (4, 4), c)) for c in ("red", "blue"))
    cases = [
        RewardCase(id=str(n), request="a", hints=(), pictures=pictures[:n], format_error=False)
        for n in (1, 2, 0)
    ]
    records = open_reward(JUDGES, config).score(cases, seed=0)
    totals = [record.breakdown.total for record in records if record.breakdown]
    assert totals == pytest.approx([0.7, 0.65, 0.0])


def test_without_one_it_is_the_hybrid_reward():
    assert isinstance(open_reward(JUDGES, Config()), HybridReward)


def test_what_is_no_reward_is_named_with_its_option(tmp_path, monkeypatch):
    source = "class Bare:\n    def __init__(self, *a): ...\ndef one(judge): ...\n"
    (tmp_path / "odd_rewards.py").write_text(source + "def three(*given):\n    return 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = [
        *reward_problems(Config(own="mine.py")),
        *reward_problems(Config(own="no_such_rewards:Mine")),
        *reward_problems(Config(own="odd_rewards:Bare")),
        *reward_problems(Config(own="odd_rewards:one")),
    ]
    assert found == [
        "--reward.own is 'mine.py'; wants module:callable",
        "no_such_rewards:Mine cannot be imported (No module named 'no_such_rewards'); "
        "check PYTHONPATH",
        "--reward.own odd_rewards:Bare gives a Bare, which has no method score",
        "odd_rewards:one is called with 3 arguments, and takes others "
        "(too many positional arguments)",
    ]
    with pytest.raises(ValueError, match=r"odd_rewards:three gives a int, .* no method score"):
        open_reward(JUDGES, Config(own="odd_rewards:three"))
