"""``before.jsonl`` and ``after.jsonl``, in literal values."""

import json
from dataclasses import replace

from tests.tracking.run_folders import WORDS, outcome

from genagent_data import PictureStore, Round
from genagent_tracking.held_out import write_held_out
from genagent_worlds import PictureWord


def rows(folder, name: str) -> list[dict]:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def test_a_row_says_per_picture_what_the_truth_and_the_judge_said(tmp_path):
    store = PictureStore(tmp_path / "pictures")
    one = outcome(store, 1, False, True)
    one = replace(one, judged=PictureWord(passed=False, reason="a blob"))
    write_held_out(tmp_path, 6, [one])
    [row] = rows(tmp_path, "after.jsonl")
    files = [f"pictures/{p.name[:2]}/{p.name}.png" for p in one.trajectory.pictures]
    said = {"prompt": WORDS, "thinking": WORDS, "assessment": WORDS, "tool_seconds": 0.5}
    assert row == {
        "after_steps": 6,
        "id": "1",
        "prompt": WORDS,
        "task": "count",
        "hints": [WORDS],
        "pictures": [
            {
                **said,
                "file": files[0],
                "taken_for_right": False,
                "truth": {"right": False, "reason": WORDS},
                "judge": None,
                "seed": 0,
            },
            {
                **said,
                "file": files[1],
                "taken_for_right": True,
                "truth": {"right": True, "reason": WORDS},
                "judge": {"right": False, "reason": "a blob"},
                "seed": 1,
            },
        ],
        "answer": WORDS,
        "ending": "answer",
        "error": None,
        "success": True,
        "tool_seconds": 1.0,
    }
    assert all((tmp_path / file).is_file() for file in files)


def test_without_a_truth_the_words_are_the_judges_and_a_failed_call_has_no_file(tmp_path):
    store = PictureStore(tmp_path / "pictures")
    one = replace(outcome(store, 1, False), source="judge", judged=None, passed=(None,))
    failed = Round(thinking=None, tool_prompt="again", picture=None)
    trajectory = replace(
        one.trajectory,
        rounds=(*one.trajectory.rounds, failed),
        ending="tool_failure",
        error="no paint",
        answer=None,
    )
    write_held_out(tmp_path, 0, [replace(one, trajectory=trajectory)])
    [row] = rows(tmp_path, "before.jsonl")
    first, second = row["pictures"]
    assert (first["truth"], first["judge"]) == (None, {"right": None, "reason": WORDS})
    assert (second["file"], second["truth"], second["judge"]) == (None, None, None)
    assert (first["taken_for_right"], second["taken_for_right"]) == (False, None)
    assert (row["success"], row["error"]) == (None, "no paint")
