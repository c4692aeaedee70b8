"""Runs side by side, from their folders."""

from pathlib import Path

import pytest
from tests.tracking.run_folders import begin_folder, make_folder, outcome

from genagent_data import PictureStore
from genagent_tracking.run_comparison import compare_runs
from genagent_worlds import write_outcomes


def mended(folder: Path) -> Path:
    """The run of ``make_folder`` had it also mended the third request, by a second picture."""
    make_folder(folder)
    store = PictureStore(folder / "pictures")
    after = [
        outcome(store, number, *passed, task="count" if number < 2 else "color")
        for number, passed in enumerate(((True,), (True,), (False, True), (False,)), start=1)
    ]
    write_outcomes(folder / "evaluation-000006.jsonl", after)
    return folder


def test_each_run_is_compared_with_the_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "160")
    compare_runs([make_folder(tmp_path / "one"), mended(tmp_path / "two")])
    rows = [line.split("  ") for line in capsys.readouterr().out.splitlines()]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    assert ["one", "lr <3>", "25 [5-70]", "50 [15-85]", "50 [15-85]", "0 [0-66]", "1.00"] in cells
    assert ["two", "lr <3>", "25 [5-70]", "75 [30-95]", "50 [15-85]", "50 [9-91]", "1.25"] in cells
    [difference] = [cell for cell in cells if cell[:2] == ["two", "+25.0 [-32.0, +65.5]"]]
    assert difference[2].startswith("+0.0 [") and difference[3] == "1"
    assert ["4 held-out requests, the same for all"] in cells


def test_what_cannot_be_compared_is_said(tmp_path: Path):
    one = make_folder(tmp_path / "one")
    with pytest.raises(ValueError, match=r"^1 run; a comparison wants two or more"):
        compare_runs([one])
    with pytest.raises(ValueError, match=r"^begun has no evaluation after learning; let it end"):
        compare_runs([one, begin_folder(tmp_path / "begun")])
    other = make_folder(tmp_path / "other")
    store = PictureStore(other / "pictures")
    for step in (0, 6):
        write_outcomes(other / f"evaluation-{step:06d}.jsonl", [outcome(store, 9, True)])
    with pytest.raises(ValueError, match=r"^other was asked other held-out requests than one; "):
        compare_runs([one, other])


def test_what_a_judge_says_is_not_held_against_the_truth(tmp_path: Path):
    one, judged = make_folder(tmp_path / "one"), make_folder(tmp_path / "judged")
    for path in judged.glob("evaluation-*.jsonl"):
        path.write_text(path.read_text().replace('"source": "truth"', '"source": "judge"'))
    with pytest.raises(ValueError, match=r"^judged has judged success and one success; "):
        compare_runs([one, judged])
