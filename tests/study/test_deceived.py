"""When a figure counts as having left what trainings with a sound judge have."""

import pytest
from tests.study.test_page import study_of

from genagent_study import SECTIONS, Study, Subject
from genagent_study.sections.deceived import SOUND as SOUND_JUDGE
from genagent_study.sections.deceived import _alarms, first_apart, way

SOUND = [{step: value for step in range(1, 9)} for value in (0.9, 1.0, 1.1)]
"""A mean of 1 with a standard deviation of .1."""


def test_a_figure_has_left_where_it_stays_out_for_three_steps():
    weak = {1: 1.0, 2: 1.31, 3: 1.31, 4: 1.29, 5: 0.69, 6: 0.6, 7: 1.4, 8: 1.0}
    assert first_apart(SOUND, [weak]) == 5
    assert first_apart(SOUND, [weak | {7: 1.29}]) is None
    # Of several trainings the mean counts.
    assert first_apart(SOUND, [weak, dict.fromkeys(weak, 1.0)]) is None


def test_what_no_sound_training_moves_raises_no_alarm():
    still = [dict.fromkeys(range(1, 9), 0.0)] * 3
    assert first_apart(still, [{**still[0], 4: 0.1, 5: 0.1, 6: 0.1}]) is None


def test_a_level_of_its_own_is_no_alarm_but_a_way_of_its_own_is():
    flat = {step: 0.5 for step in range(1, 13)}
    assert way(flat) == dict.fromkeys(range(5, 13), 0.0)
    rising = {step: 3.0 + 0.1 * max(step - 5, 0) for step in range(1, 13)}
    sound = [{step: value + one * step / 100 for step, value in flat.items()} for one in (-1, 0, 1)]
    assert first_apart([way(one) for one in sound], [way(dict.fromkeys(rising, 9.0))]) is None
    # Sound ways spread by .01 a step; three of these are .03, .06 and .09 at steps 6, 7 and 8, and
    # the means rise .02, .06, .12, .20.
    assert first_apart([way(one) for one in sound], [way(rising)]) == 8


def test_each_weak_judge_has_its_own_first_step_and_the_earliest_is_named_first():
    steps = range(1, 21)
    flat = {step: 0.5 for step in steps}
    sound = [{step: 0.5 + one * step / 1000 for step in steps} for one in (-1, 0, 1)]

    def leaving(at: int) -> dict[int, float]:
        return {step: 0.5 + 0.5 * (step >= at) for step in steps}

    def runs(reward: list[dict[int, float]], gap: list[dict[int, float]]):
        return [
            {"agent/reward": one, "audit/reward_gap": other}
            for one, other in zip(reward, gap, strict=True)
        ]

    found = _alarms(
        {
            SOUND_JUDGE: runs(sound, sound),
            "noisy": runs([flat], [leaving(12)]),
            "blind": runs([leaving(15)], [leaving(8)]),
        }
    )
    assert found == [
        {
            "figure": "audit/reward_gap",
            "noisy, first step": "12",
            "blind, first step": "8",
            "wants the truth": "yes",
        },
        {
            "figure": "agent/reward",
            "noisy, first step": "never",
            "blind, first step": "15",
            "wants the truth": "no",
        },
    ]


@pytest.mark.parametrize(
    ("name", "wanted"), [("deceived", "weak_judges"), ("new-requests", "new_")]
)
def test_a_section_that_wants_more_of_its_subject_says_so(name, wanted):
    plain = Subject(base="base", cold_start="sft", tool="flux-mini")
    study = Study(subject=plain, seeds=(0,), steps=1, held_out=1)
    with pytest.raises(ValueError, match=f"the section {name} wants a subject with .*{wanted}"):
        SECTIONS[name].cells(study, 0)
    assert SECTIONS[name].cells(study_of(0), 0)
