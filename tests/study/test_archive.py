"""Finished cells as files beside a page: the page comes out the same, and only that."""

import io
import lzma
import os
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from tests.study.cells import cell, scripts, store
from tests.study.finished import keep_everything
from tests.study.test_page import EVERY, page_of, study_of

from genagent_study import SECTIONS, Cell, CellStore, Made, Pace, Section, make_plan, run_cells

WITH_PICTURES = ("new-requests", "cases")
WITHOUT = tuple(one for name, one in SECTIONS.items() if name not in WITH_PICTURES)


def archive_of(kept: CellStore) -> Path:
    return kept.folder.parent / "archive"


def archived(kept: CellStore) -> CellStore:
    """The same cells out of an archive, in a place where none of them has run."""
    archive = archive_of(kept)
    plan = make_plan(study_of(0, 1), EVERY, kept, parallel=1)
    replace(kept, archive=archive).share(plan.kept.values())
    return CellStore(folder=archive.parent / "elsewhere" / "cells", code=kept.code, archive=archive)


@pytest.fixture
def kept(tmp_path: Path) -> CellStore:
    kept = store(tmp_path / "here")
    keep_everything(
        kept, study_of(0, 1), make_plan(study_of(0, 1), EVERY, kept, parallel=1).missing
    )
    return kept


def test_a_page_out_of_the_archive_has_the_figures_of_the_cells(kept, tmp_path):
    from_cells = page_of(kept, study_of(0, 1), tmp_path / "one.html", *WITHOUT)[1]
    there = archived(kept)
    from_archive = page_of(there, study_of(0, 1), tmp_path / "other.html", *WITHOUT)[1]
    assert from_archive == from_cells
    assert from_archive["cells"] > 20


def test_an_archive_has_neither_pictures_nor_weights_nor_places(kept):
    for summary in kept.folder.rglob("summary.json"):
        for name in ("policy", "state"):
            (summary.parent / name).mkdir()
            (summary.parent / name / "model.json").write_text("{}")
    archived(kept)
    files = sorted(archive_of(kept).iterdir())
    cells = [path.parent.name for path in kept.folder.glob("*/cell.json")]
    assert [one.name for one in files] == [f"{name}.tar.xz" for name in sorted(cells)]
    for file in files:
        with tarfile.open(file) as tar:
            for member in tar.getmembers():
                assert member.name.endswith((".json", ".jsonl"))
                assert not {"policy", "state", "pictures"} & set(member.name.split("/"))
                file_in_it = tar.extractfile(member)
                assert file_in_it is not None
                assert str(kept.folder.parent).encode() not in file_in_it.read()


def test_a_section_with_pictures_has_its_first_seed_run_again(kept):
    there = archived(kept)
    plan = make_plan(study_of(0, 1), [SECTIONS["cases"], SECTIONS["figure6"]], there, parallel=1)
    assert [one.title for one in plan.missing] == ["rl, seed 0"]
    assert make_plan(study_of(0, 1), [SECTIONS["cases"]], kept, parallel=1).missing == []


def test_the_same_cell_is_the_same_file(kept):
    archived(kept)
    before = {one: one.read_bytes() for one in archive_of(kept).iterdir()}
    for path in kept.folder.rglob("*.jsonl"):
        os.utime(path, (1, 1))
    for file in before:
        file.unlink()
    archived(kept)
    assert {one: one.read_bytes() for one in archive_of(kept).iterdir()} == before


def test_finished_cells_are_put_into_the_archive_and_not_run_again(tmp_path):
    one, archive = cell("--value", "1.5"), tmp_path / "archive"
    here = replace(store(tmp_path / "here"), archive=archive)
    how = {"scripts": scripts(tmp_path / "scripts"), "pace": Pace(), "parallel": 1}
    assert run_cells([one], here, **how) == []
    found = replace(store(tmp_path / "there"), archive=archive).find(one)
    assert found is not None and found.summary["value"] == 1.5
    # Other code has other cells, unless any will do.
    assert replace(store(tmp_path / "there", "c0de0002"), archive=archive).find(one) is None
    any_code = replace(store(tmp_path / "x", "c0de0002", any_code=True), archive=archive)
    found = any_code.find(one)
    assert found is not None and found.code == "c0de0001"


def test_what_needs_an_archived_cells_weights_has_it_run_again_and_all_that_came_of_it(tmp_path):
    first = cell("--value", "1.5")
    second = cell("--of", Made(by=first), title="second")
    third = cell("--of", Made(by=first), "--value", "1", title="third")
    here = replace(store(tmp_path / "here"), archive=tmp_path / "archive")
    how = {"scripts": scripts(tmp_path / "scripts"), "pace": Pace(), "parallel": 1}
    run_cells([first, second], here, **how)
    # Where they have been run the policy is at hand, and where nothing wants it it need not be.
    assert make_plan(study_of(0), [_wanting(second, third)], here, parallel=1).missing == [third]
    there = replace(store(tmp_path / "there"), archive=here.archive)
    assert make_plan(study_of(0), [_wanting(second)], there, parallel=1).missing == []
    # An old evaluation beside a new one would be of two trainings.
    plan = make_plan(study_of(0), [_wanting(second, third)], there, parallel=1)
    assert plan.missing == [first, second, third]
    assert run_cells(plan.missing, there, **how) == []
    results = there.results(list(plan.cells))
    assert all(there.folder in one.cell_folder.parents for one in results.values())
    made_of = {results[one].needs[first.key] for one in (second, third)}
    assert made_of == {results[first].finished}
    # Who finds a training of its own beside evaluations of another has these run again.
    alone = replace(store(tmp_path / "alone"), archive=here.archive)
    run_cells([first], replace(alone, archive=None), **how)
    assert make_plan(study_of(0), [_wanting(second)], alone, parallel=1).missing == [second]


def test_an_evaluation_by_any_code_is_of_the_training_beside_it(tmp_path):
    first = cell("--value", "1.5")
    second = cell("--of", Made(by=first), title="second")
    how = {"scripts": scripts(tmp_path / "scripts"), "pace": Pace(), "parallel": 1}
    run_cells([first, second], store(tmp_path), **how)
    other = store(tmp_path, "c0de0002", any_code=True)
    assert [one.title for one in other.results([first, second])] == ["--value 1.5", "second"]
    run_cells([first], store(tmp_path, "c0de0002"), **how)
    assert [one.code for one in other.results([first, second]).values()] == ["c0de0002"]


def test_an_archived_cell_that_is_run_again_for_its_pictures_is_run_from_nothing(kept):
    there = archived(kept)
    plan = make_plan(study_of(0), [SECTIONS["new-requests"]], there, parallel=1)
    assert {one.title for one in plan.missing} == {"rl, seed 0", "new requests, seed 0"}
    assert not any(there.path(one).exists() for one in plan.missing)


def _wanting(*cells: Cell) -> Section:
    return replace(SECTIONS["figure6"], cells=lambda study, seed: list(cells))


@pytest.mark.parametrize("content", [b"", b"no archive", lzma.compress(b"no archive either")])
def test_a_damaged_file_is_named(tmp_path, content):
    one = cell("--value", "1")
    here = replace(store(tmp_path / "here"), archive=tmp_path)
    file = tmp_path / f"{here.path(one).name}.tar.xz"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=f"{file.name}.*remove"):
        here.find(one)


def test_a_file_that_would_lie_elsewhere_is_not_laid_out(tmp_path):
    one = cell("--value", "1")
    here = replace(store(tmp_path / "here"), archive=tmp_path)
    name = here.path(one).name
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:xz") as tar:
        for path in ("../../outside", f"{name}/cell.json"):  # from here/archived
            tar.addfile(tarfile.TarInfo(path), io.BytesIO())
    (tmp_path / f"{name}.tar.xz").write_bytes(packed.getvalue())
    with pytest.raises(ValueError, match="remove"):
        here.find(one)
    assert not (tmp_path / "outside").exists()
