import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.serving.answers import answered

from genagent_data import Request
from genagent_serving import GenerationFolder
from genagent_serving.generation_folder import NAME_BYTES, folder_name

OPTIONS = '{"seed": 0, "world": {"tool": "flux-mini", "device": "cpu"}}'


def opened(path: Path, document: str = OPTIONS) -> GenerationFolder:
    return GenerationFolder(path, document, may_differ=("world.device",), about={"tool": "t"})


def requests(*ids: str) -> list[Request]:
    return [Request(id=id, prompt="two red circles") for id in ids]


@given(st.lists(st.text(), unique=True, max_size=8))
def test_names_are_safe_and_each_ones_own(ids: list[str]):
    taken: set[str] = set()
    for id in ids:
        name = folder_name(id, taken)
        assert name.casefold() not in taken
        assert Path(name).name == name and len(name.encode()) <= NAME_BYTES + 9
        assert not set(name) & set('./\\:*?"<>| \0\n\x1b')
        taken.add(name.casefold())


@pytest.mark.parametrize(
    ("id", "name"),
    [
        ("held-out-7", "held-out-7"),
        ("../../etc/passwd", "etc-passwd"),
        ("ünï/cødé 图", "ünï-cødé-图"),
        ("..", "request"),
        ("x" * 300, "x" * 80),
        ("CON", "CON-a3dbc4b6"),
        ("pictures", "pictures-752f502e"),
        ("mlflow_run", "mlflow_run-de8b390f"),
    ],
)
def test_names_are_legible(id: str, name: str):
    assert folder_name(id, ()) == name


def test_a_request_leaves_pictures_sheet_page_and_a_line(tmp_path: Path):
    folder = opened(tmp_path)
    assert [r.id for r in folder.left(requests("r"))] == ["r"]
    for picture in (one := answered()).trajectory.pictures:
        folder.store.put(picture.image)
    folder.keep(one)
    files = sorted(path.name for path in (tmp_path / "r").iterdir())
    assert files == ["page.html", "picture-1.png", "picture-2.png", "sheet.png"]
    with Image.open(tmp_path / "r" / "picture-2.png") as image:
        assert image.getpixel((0, 0)) == (20, 20, 20)
    [row] = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert row["picture"] == "r/picture-2.png" and row["revised_prompt"] == "so so"
    assert [r["tool_seed"] for r in row["rounds"]] == [7, 7] and row["seed"] == 3
    assert folder.row_from_here("r")["picture"] == str(tmp_path / "r" / "picture-2.png")


def test_what_is_done_stays_done_whatever_the_last_line_looks_like(tmp_path: Path):
    folder = opened(tmp_path)
    folder.left(requests("A", "a", "b"))
    for id in ("a", "b"):
        folder.keep(answered(id=id))
    folder.close()
    with (tmp_path / "results.jsonl").open("a") as file:
        file.write('{"id": "A", "pro')
    again = opened(tmp_path)
    assert [r.id for r in again.left(requests("A", "a", "b", "c"))] == ["A", "c"]
    again.keep(answered(id="A"))
    ids = [json.loads(line)["id"] for line in (tmp_path / "results.jsonl").open()]
    assert ids == ["a", "b", "A"]
    assert len({row["folder"] for row in again.rows.values()}) == 3


def test_only_what_the_tool_failed_is_tried_again(tmp_path: Path):
    folder = opened(tmp_path)
    folder.left(requests("failed", "broken", "late"))
    gone = {"answer": None, "ending": "tool_failure", "error": "no paint"}
    folder.keep(answered(id="failed", shades=(None,), **gone))
    folder.keep(answered(id="late", shades=(5, None), **gone))
    broken = {"answer": None, "ending": "format_error", "error": "no_action"}
    folder.keep(answered(id="broken", shades=(), **broken))
    folder.close()
    again = opened(tmp_path)
    assert [r.id for r in again.left(requests("failed", "broken", "late"))] == ["failed"]
    again.keep(answered(id="failed"))
    assert again.rows["failed"]["ending"] == "answer"
    again.close()
    assert opened(tmp_path).left(requests("failed")) == []


def test_other_options_are_refused_and_a_move_is_not(tmp_path: Path):
    opened(tmp_path).close()
    opened(tmp_path, OPTIONS.replace("cpu", "cuda")).close()
    with pytest.raises(ValueError, match=r"another seed \(0, now 1\); give it the options"):
        opened(tmp_path, OPTIONS.replace('"seed": 0', '"seed": 1'))


def test_one_id_is_one_prompt(tmp_path: Path):
    folder = opened(tmp_path)
    folder.left(requests("r"))
    folder.keep(answered())
    with pytest.raises(ValueError, match="'r' with another prompt, 'two red circles'"):
        folder.left([Request(id="r", prompt="three red circles")])


def test_two_processes_do_not_share_a_folder(tmp_path: Path):
    first = opened(tmp_path)
    with pytest.raises(ValueError, match="is still running"):
        opened(tmp_path)
    first.close()
    opened(tmp_path)


def test_answers_of_other_weights_or_another_tool_do_not_join(tmp_path: Path):
    folder = opened(tmp_path)
    folder.made_with(policy="0a1b", tool=None)
    folder.made_with(policy="0a1b", tool="flux 8 steps")  # which it has come to say
    folder.made_with(policy="0a1b", tool=None)
    with pytest.raises(ValueError, match="made with another policy \\(0a1b, now 2c3d\\); give"):
        folder.made_with(policy="2c3d", tool=None)
    with pytest.raises(ValueError, match="another tool \\(flux 8 steps, now flux 4 steps\\)"):
        folder.made_with(policy="0a1b", tool="flux 4 steps")
    assert json.loads((tmp_path / "made_with.json").read_text()) == {
        "policy": "0a1b",
        "tool": "flux 8 steps",
    }
