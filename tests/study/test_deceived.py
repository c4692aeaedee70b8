"""When a figure counts as having left what trainings with a sound judge have."""

import pytest
from tests.study.test_page import study_of

from genagent_study import SECTIONS, Study, Subject
from genagent_study.sections.deceived import first_apart

SOUND = [{step: value for step in range(1, 9)} for value in (0.9, 1.0, 1.1)]
"""A mean of 1 with a standard deviation of .1."""


def test_a_figure_has_left_where_it_stays_out_for_three_steps():
    weak = {1: 1.0, 2: 1.31, 3: 1.31, 4: 1.29, 5: 0.69, 6: 0.6, 7: 1.4, 8: 1.0}
    assert first_apart(SOUND, [weak]) == 5
    assert first_apart(SOUND, [weak | {7: 1.29}]) is None
    # Of several trainings the mean counts.
    assert first_apart(SOUND, [weak, dict.fromkeys(weak, 1.0)]) is None


@pytest.mark.parametrize(("name", "wanted"), [("deceived", "weak_judge"), ("new-requests", "new_")])
def test_a_section_that_wants_more_of_its_subject_says_so(name, wanted):
    plain = Subject(base="base", cold_start="sft", tool="flux-mini")
    study = Study(subject=plain, seeds=(0,), steps=1, held_out=1)
    with pytest.raises(ValueError, match=f"the section {name} wants a subject with .*{wanted}"):
        SECTIONS[name].cells(study, 0)
    assert SECTIONS[name].cells(study_of(0), 0)
