"""Folders of pictures named as benchmarks want them: gaps, and files that cannot be used."""

from pathlib import Path

import pytest
from PIL import Image
from tests.worlds.benchmark_files import geneval_rows, imagine_rows, write_lines

from genagent_data.picture_check import MAX_PIXELS
from genagent_rewards import Picture
from genagent_worlds import Benchmark, TaskBenchmark, load_benchmark, read_pictures


@pytest.fixture
def geneval(tmp_path: Path) -> Benchmark:
    return load_benchmark("geneval++", write_lines(tmp_path / "rows.jsonl", geneval_rows()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pictures").mkdir()
    return tmp_path / "pictures"


def draw(path: Path) -> Path:
    Image.new("RGB", (8, 8), "red").save(path)
    return path


def test_pictures_go_by_their_official_names(geneval, folder):
    paths = {str(number): draw(folder / f"{number}.jpg") for number in range(1, 8)}
    draw(folder / "8.jpg")
    draw(folder / "1.png")
    told: list[str] = []
    found = read_pictures(folder, geneval, tell=told.append)
    assert {id: picture.path for id, picture in found.items()} == paths
    with Image.open(paths["3"]) as image:
        assert found["3"] == Picture.of(image)
    assert told == []


def test_imagines_pictures_may_have_any_of_four_suffixes_the_first_of_them_counts(tmp_path, folder):
    imagine = load_benchmark("imagine", write_lines(tmp_path / "rows.jsonl", imagine_rows()))
    for name in ("1.webp", "2.jpeg", "3.jpg", "3.png", "4.gif"):
        draw(folder / name)
    found = read_pictures(folder, imagine)
    assert {id: one.path and one.path.name for id, one in found.items()} == {
        "1": "1.webp",
        "2": "2.jpeg",
        "3": "3.png",
    }


def test_gaps_are_counted_and_the_first_is_named(geneval, folder):
    draw(folder / "1.jpg")
    draw(folder / "4.jpg")
    told: list[str] = []
    assert list(read_pictures(folder, geneval, tell=told.append)) == ["1", "4"]
    assert told == [f"5 of 7 pictures are missing in {folder}, the first is 2.jpg"]


def test_a_picture_that_cannot_be_used_counts_as_missing_with_a_line(geneval, folder):
    for number in range(1, 8):
        draw(folder / f"{number}.jpg")
    whole = (folder / "2.jpg").read_bytes()
    (folder / "2.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "3.jpg").write_bytes(b"no picture")
    side = int(MAX_PIXELS**0.5) + 1
    Image.new("1", (side, side)).save(folder / "4.jpg", format="PNG")
    told: list[str] = []
    assert list(read_pictures(folder, geneval, tell=told.append)) == ["1", "5", "6", "7"]
    assert [line.split(" ")[:4] for line in told] == [
        ["counts", "as", "missing:", str(folder / f"{number}.jpg")] for number in (2, 3, 4)
    ]
    assert told[2].endswith(f"has more than {MAX_PIXELS} pixels; make it smaller")


def test_of_many_bad_pictures_the_first_few_are_told_of(geneval, folder):
    for number in range(1, 8):
        (folder / f"{number}.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match=r"none of 7 pictures in .* can be used: .*1\.jpg"):
        read_pictures(folder, geneval)
    draw(folder / "7.jpg")
    told: list[str] = []
    assert list(read_pictures(folder, geneval, tell=told.append)) == ["7"]
    assert len(told) == 6 and told[-1] == f"1 more pictures in {folder} count as missing"


def test_a_folder_that_is_none_or_has_none_of_the_pictures_is_refused(geneval, folder):
    draw(folder / "1.png")
    with pytest.raises(ValueError) as raised:
        read_pictures(folder, geneval)
    assert str(raised.value) == (
        f"{folder} has no picture of geneval++; name them by their requests, 1.jpg"
    )
    with pytest.raises(
        ValueError, match=r"no is no folder; give the one with the pictures of gene"
    ):
        read_pictures(folder / "no", geneval)


def test_a_worlds_own_requests_are_read_alike(geneval, folder):
    benchmark = TaskBenchmark(name="miniature", requests=geneval.requests)
    draw(folder / "7.png")
    assert list(read_pictures(folder, benchmark)) == ["7"]
