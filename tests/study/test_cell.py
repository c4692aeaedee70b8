from pathlib import Path

import pytest
from tests.study.cells import cell

from genagent_study import Here, Made, with_needs


def test_a_key_is_of_all_that_was_asked_for_and_of_nothing_else():
    one = cell("--value", "1")
    assert len(one.key) == 12
    assert one.key == cell("--value", "1", title="another", minutes=9.0).key
    others = [
        cell("--value", "2"),
        cell("--value", "1", seed=1),
        cell("--value", "1", "--do", "stop"),
    ]
    assert len({one.key, *(other.key for other in others)}) == 4


def test_what_a_cell_needs_is_part_of_it():
    first, second = cell("--value", "1"), cell("--value", "2")
    on_first, on_second = (cell("--of", Made(by=one), title="x") for one in (first, second))
    assert on_first.key != on_second.key
    assert on_first.key != cell("--of", Here(path="policy"), title="x").key  # type: ignore[arg-type]
    last = cell("--of", Made(by=on_first), "--value", "1", title="y")
    assert with_needs([last, first, on_second]) == [first, on_first, last, second, on_second]


def test_a_folder_counts_by_its_content(tmp_path: Path):
    def weights(name: str, content: bytes) -> str:
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(content)
        return str(tmp_path / name)

    same = [weights("a", b"1"), weights("b", b"1")]
    other = weights("c", b"2")
    keys = [cell("--policy", folder).key for folder in (*same, other)]
    assert keys[0] == keys[1] != keys[2]
    (tmp_path / "a" / "model.safetensors").write_bytes(b"3")
    assert cell("--policy", same[0]).key != keys[0]


def test_a_file_counts_by_its_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    asked = Path("mine.jsonl")
    asked.write_text("a red circle")
    one, same = cell("--held-out", "mine.jsonl").key, cell("--held-out", "mine.jsonl").key
    asked.write_text("a blue circle")
    assert one == same != cell("--held-out", "mine.jsonl").key
