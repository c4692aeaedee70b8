"""Groups of attempts for readers: what a file holds of them, and what it refuses."""

import json
from dataclasses import replace

import pytest
from tests.worlds.builders import BLUE, RED, trajectory

from genagent_data import PictureStore
from genagent_rewards import PairRecord, RewardBreakdown, RewardRecord, Verdict
from genagent_worlds import AttemptRecord, GroupRecord, groups_file, read_groups, write_groups


def record(total: float) -> RewardRecord:
    better = Verdict(choice="second", reason="red at last", judge="j", raw="… second")
    return RewardRecord(
        breakdown=RewardBreakdown(total=total, point=total, pair=0.0, format=0.0),
        point_verdict=Verdict(choice="yes", reason="red", judge="j"),
        pair_verdicts=(PairRecord(index=0, verdict=better, swapped=False, win=True),),
    )


def kept(total: float, advantage: float) -> AttemptRecord:
    return AttemptRecord(
        trajectory=trajectory(0, BLUE, RED),
        turns=("a", "b", "c"),
        record=record(total),
        advantage=advantage,
        true_success=True,
    )


UNJUDGED = AttemptRecord(trajectory=trajectory(0, BLUE), turns=("a",), dropped="resampled")
ABSENT = AttemptRecord(
    trajectory=trajectory(0, BLUE),
    turns=("a",),
    record=RewardRecord(breakdown=None, point_verdict=None, error="no answer"),
    dropped="absent_verdict",
)


def test_groups_are_read_back_as_they_were_written(tmp_path):
    store = PictureStore(tmp_path / "pictures")
    for picture in (BLUE, RED):
        store.add(picture)
    group = GroupRecord(attempts=(kept(0.7, 1.0), kept(0.0, -1.0), UNJUDGED, ABSENT))
    path = groups_file(tmp_path, 3)
    write_groups(path, [group])
    assert path.name == "groups-000003.jsonl"
    assert read_groups(path, store) == [group]


def test_only_kept_attempts_count_and_equal_rewards_teach_nothing():
    group = GroupRecord(attempts=(kept(0.7, 0.0), kept(0.7, 0.0), UNJUDGED, ABSENT))
    assert (group.rewards, group.teaches) == ([0.7, 0.7], False)
    assert GroupRecord(attempts=(kept(0.7, 1.0), kept(0.0, -1.0))).teaches


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{}", 'groups-000001.jsonl:1: no list of "attempts"'),
        ('{"attempts": [{}]}', "groups-000001.jsonl:1: not an attempt"),
    ],
)
def test_a_line_that_is_no_group_is_named(tmp_path, line, message):
    groups_file(tmp_path, 1).write_text(line + "\n")
    with pytest.raises(ValueError, match=message):
        read_groups(groups_file(tmp_path, 1), PictureStore(tmp_path))


def test_what_options_add_is_read_back_and_files_without_it_are_read(tmp_path):
    store = PictureStore(tmp_path / "pictures")
    for picture in (BLUE, RED):
        store.add(picture)
    plain = kept(0.7, 0.0)
    assert plain.record is not None and plain.record.breakdown is not None
    paid = replace(plain.record.breakdown, peak=0.3, late=0.15)
    verdicts = (plain.record.point_verdict, None)
    credited = replace(
        plain,
        record=replace(plain.record, breakdown=paid, picture_verdicts=verdicts),
        late_advantage=-1.0,
        shared_first=True,
    )
    path = groups_file(tmp_path, 1)
    group = GroupRecord(attempts=(credited, plain))
    write_groups(path, [group])
    assert read_groups(path, store) == [group]
    # An advantage of the tokens from the first look on teaches too.
    assert group.teaches

    row = json.loads(path.read_text())
    for attempt in row["attempts"]:
        del attempt["late_advantage"], attempt["shared_first"]
        del attempt["reward"]["picture_verdicts"]
        for name in ("peak", "retention", "efficiency", "assessment", "late"):
            del attempt["reward"]["breakdown"][name]
    path.write_text(json.dumps(row) + "\n")
    assert read_groups(path, store) == [GroupRecord(attempts=(plain, plain))]
