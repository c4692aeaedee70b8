from tests.study.cells import cell

from genagent_study import Made, Pace
from genagent_study.pace import chains, longest_first

LONG, SHORT = cell("--value", "1", minutes=10.0), cell("--value", "2", minutes=1.0)
AFTER = cell("--of", Made(by=SHORT), title="after", minutes=12.0)


def test_before_anything_is_measured_cells_take_what_they_say():
    pace = Pace()
    assert (pace.seconds(LONG), pace.is_measured) == (600.0, False)
    assert pace.left([LONG, SHORT], parallel=1) == 660.0
    assert pace.left([LONG, SHORT], parallel=2) == 600.0  # the longer one


def test_what_was_measured_scales_the_rest():
    pace = Pace()
    pace.took(SHORT, 30.0)  # half of what it says
    assert pace.seconds(LONG) == 300.0
    pace.took(LONG, 630.0)
    assert pace.seconds(SHORT) == 60.0
    assert pace.left([LONG], parallel=1, begun={LONG: 200.0}) == 400.0
    assert pace.left([LONG], parallel=1, begun={LONG: 900.0}) == 0.0


def test_who_waits_for_whom_decides_who_begins():
    assert chains({LONG: 10.0, SHORT: 1.0, AFTER: 12.0}) == {LONG: 10.0, SHORT: 13.0, AFTER: 12.0}
    assert longest_first([LONG, SHORT], Pace()) == [LONG, SHORT]
    assert chains({AFTER: 12.0}) == {AFTER: 12.0}  # what it needs is done
    assert Pace().left([LONG, SHORT, AFTER], parallel=3) == 60 * 13.0
