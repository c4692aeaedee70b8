"""Finished cells as one small file each: the figures and answers that tables and curves rest on.

    <archive>/<script>-<key>-<code>.tar.xz

Weights, states and pictures stay behind, so that the cells of a published page can be kept beside
it, and the page be made again, or a section be added to it, where none of them has run.
"""

import io
import json
import lzma
import os
import tarfile
from collections.abc import Iterable
from pathlib import Path

from genagent_data import Picture, PictureStore

RECORD = "cell.json"
ENDING = ".tar.xz"
_OF_A_RUN = ("summary.json", "metrics.jsonl", "evaluation-*.jsonl")
_OF_A_CELL = (RECORD, "out/cells/*.json", "out/cells/*/*.json*")


class NamedPictures(PictureStore):
    """Pictures of which there may be the names alone: what is not here is found, and raises OSError
    when it is looked at."""

    def get(self, name: str) -> Picture:
        return Picture(name, path=self.path(name))


def pack(cell: Path, archive: Path, *, place: Path) -> Path:
    """Put a finished cell into the archive, and say where. The same files give the same bytes.

    Args:
        cell: its folder.
        place: of the study, which no file in the archive names.

    Raises:
        OSError: a file cannot be read or written.
    """
    packed = io.BytesIO()
    run = json.loads((cell / RECORD).read_text(encoding="utf-8"))["run"]
    patterns = (*_OF_A_CELL, *(f"{run}/{pattern}" for pattern in _OF_A_RUN))
    found = (path for pattern in patterns for path in cell.glob(pattern) if path.is_file())
    written = json.dumps(str(place.absolute()))[1:-1].encode()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path in sorted(found):
            content = path.read_bytes().replace(written, b".")
            about = tarfile.TarInfo(path.relative_to(cell.parent).as_posix())
            about.size = len(content)
            tar.addfile(about, io.BytesIO(content))
    archive.mkdir(parents=True, exist_ok=True)
    target = archive / f"{cell.name}{ENDING}"
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(lzma.compress(packed.getvalue(), preset=9))
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return target


def unpack(files: Iterable[Path], cells: Path) -> None:
    """Lay cells out as the ones that have run lie there; one that is there already stays.

    Raises:
        ValueError: a file is no archive of a cell; the message names it.
        OSError: one cannot be read or written.
    """
    for file in files:
        name = file.name.removesuffix(ENDING)
        if (cells / name / RECORD).exists():
            continue
        try:
            with tarfile.open(file, mode="r:xz") as tar:
                members = tar.getmembers()
                # The record last: with it the cell is whole.
                members.sort(key=lambda one: one.name == f"{name}/{RECORD}")
                if not members or members[-1].name != f"{name}/{RECORD}":
                    raise ValueError(f"{file} has no {name}/{RECORD}; remove the file")
                tar.extractall(cells, members=members, filter="data")
        except (tarfile.TarError, lzma.LZMAError, EOFError) as error:
            raise ValueError(f"{file} is no archive of a cell ({error}); remove it") from error
