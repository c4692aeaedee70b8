"""A folder of answered requests, to look at and to go on with.

    config.json         options
    made_with.json      weights of the policy, and what image servers say that they draw with
    results.jsonl       a line a request, appended when it has ended and all else of it is there
    index.html          all of them, linked
    summary.json        what they come to; not there while some are being answered
    mlflow_run          the MLflow run that they are recorded in
    pictures/           every picture drawn, by content
    weights/            with vLLM, what its servers were given
    drawn.jsonl         for which prompt and seed each was, appended as it comes
    <request>/          picture-1.png …, sheet.png, page.html
    lock                held by the process that works on it

Killed at any moment, the same options go on with it.
"""

import hashlib
import os
import re
import shutil
import time
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from genagent_data import KeptLines, Picture, PictureStore, Request, write_text
from genagent_serving.answered import Answered
from genagent_serving.contact_sheet import contact_sheet
from genagent_serving.page import index_page, request_page
from genagent_tracking import first_difference, lock_folder, note_made_with
from genagent_tracking.printable import one_line

RESULTS = "results.jsonl"
NAME_BYTES = 80
"""Of a request's folder; file systems take 255, and some count the whole path."""

Row = Mapping[str, Any]


class GenerationFolder:
    """See the module. What is kept may come from several threads."""

    def __init__(
        self,
        path: Path,
        document: str,
        *,
        may_differ: Collection[str] = (),
        may_move: Collection[str] = (),
        about: Mapping[str, str],
    ) -> None:
        """
        Args:
            document: the options as JSON; those of an earlier process stand.
            may_differ: names of options that change no picture.
            may_move: names of options that may name other servers.
            about: policy, tool and the like, for the foot of each page.

        Raises:
            ValueError: another process works on it, it was made with other options, or its results
                are damaged.
            OSError: it cannot be written.
        """
        path.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.drawn = path / "drawn.jsonl"
        self.index = path / "index.html"
        self.summary = path / "summary.json"
        self.store = PictureStore(path / "pictures")
        self._about = about
        self._opened = time.perf_counter()
        self._lock = lock_folder(path)
        config = path / "config.json"
        if not config.exists():
            write_text(config, document)
        found = config.read_text(encoding="utf-8")
        difference = first_difference(found, document, but=may_differ, servers=may_move)
        if difference is not None:
            raise ValueError(
                f"{path} was made with another {difference}; give it the options that it had, or "
                "another --out"
            )
        self._results = KeptLines(path / RESULTS, _result)
        self.rows: dict[str, Row] = {row["id"]: row for row in self._results.earlier}
        """Results by request; where a request was tried again, the later one."""
        self._folders = {id: row["folder"] for id, row in self.rows.items()}

    @property
    def seconds(self) -> float:
        """Since it was opened."""
        return time.perf_counter() - self._opened

    def made_with(self, **names: str | None) -> None:
        """Notes by name what answers come from: of a policy its weights, of image servers what they
        say. None is not known, and may be anything.

        Raises:
            ValueError: what is here came from another.
            OSError: it cannot be written.
        """
        note_made_with(self.path, names, instead="another --out")

    def left(self, requests: Sequence[Request]) -> list[Request]:
        """Those that are still to be answered; one that only the tool has failed is.

        Raises:
            ValueError: one was answered here under the same id with another prompt.
        """
        for request in requests:
            done = self.rows.get(request.id)
            if done is not None and done["prompt"] != request.prompt:
                raise ValueError(
                    f"{self.path} has an answer to {one_line(request.id, limit=60)!r} with another "
                    f"prompt, {one_line(done['prompt'], limit=60)!r}; give another id, or another "
                    "--out"
                )
        left = [request for request in requests if not self._is_done(request)]
        taken = {folder.casefold() for folder in self._folders.values()}
        for request in left:
            if request.id not in self._folders:
                self._folders[request.id] = name = folder_name(request.id, taken)
                taken.add(name.casefold())
        return left

    def picture_path(self, request: Request, number: int, picture: Picture) -> Path:
        """Where the picture of that round is, from 1; it is there when this returns."""
        path = self.path / self._folders[request.id] / f"picture-{number}.png"
        path.parent.mkdir(exist_ok=True)
        _link(self.store.add(picture), path)
        return path

    def keep(self, answered: Answered) -> Row:
        """Write pictures, sheet, page and then the result's line."""
        folder = self._folders[answered.request.id]
        (self.path / folder).mkdir(exist_ok=True)
        paths = [
            None
            if round.picture is None
            else self.picture_path(answered.request, number, round.picture)
            for number, round in enumerate(answered.trajectory.rounds, 1)
        ]
        row = _row(answered, folder, [path and f"{folder}/{path.name}" for path in paths])
        if answered.picture is not None:
            sheet = contact_sheet(answered.trajectory.pictures)
            _save(sheet, self.path / folder / "sheet.png")
        write_text(self.path / folder / "page.html", request_page(answered, self._about))
        self._results.add(row)
        self.rows[answered.request.id] = row
        return row

    def row_from_here(self, id: str) -> Row:
        """A request's result with paths that lead there from the working directory."""
        row = self.rows[id]
        rounds = [round | {"picture": self._from_here(round["picture"])} for round in row["rounds"]]
        paths = {key: self._from_here(row[key]) for key in ("picture", "folder", "page")}
        return {**row, **paths, "rounds": rounds}

    def write_index(self, requests: Iterable[Request]) -> None:
        """The page that links to all, in the order of these requests; others after them."""
        order = {request.id: place for place, request in enumerate(requests)}
        rows = sorted(self.rows.values(), key=lambda row: order.get(row["id"], len(order)))
        write_text(self.index, index_page(rows, self._about))

    def close(self) -> None:
        self._results.close()
        self._lock.close()

    def _from_here(self, path: str | None) -> str | None:
        return None if path is None else str(self.path / path)

    def _is_done(self, request: Request) -> bool:
        row = self.rows.get(request.id)
        return row is not None and (row["picture"] is not None or row["ending"] != "tool_failure")


def folder_name(id: str, taken: Collection[str]) -> str:
    """A name for a request's folder on any file system: letters, digits, ``-`` and ``_``.

    Args:
        taken: names in use, casefolded: some file systems know no capitals.

    Example: ``folder_name("../a photo", ())`` is ``"a-photo"``.
    """
    words = unicodedata.normalize("NFC", re.sub(r"[^\w]+", "-", id)).strip("-_")
    name = words.encode()[:NAME_BYTES].decode(errors="ignore").strip("-_") or "request"
    # Windows keeps such names for devices.
    is_device = re.fullmatch(r"(?i)con|prn|aux|nul|com\d|lpt\d", name)
    if name.casefold() in taken or name.casefold() in _OURS or is_device:
        digest = hashlib.sha256(id.encode(errors="backslashreplace")).hexdigest()
        name = f"{name}-{digest[:8]}"
    return name


_OURS = ("pictures", "lock", "weights", "mlflow_run")


def _row(answered: Answered, folder: str, pictures: Sequence[str | None]) -> Row:
    trajectory = answered.trajectory
    rounds = [
        {
            "thinking": round.thinking,
            "prompt": round.tool_prompt,
            "picture": picture,
            "judgement": round.judgement,
            "tool_seed": round.seed,
            "turn_seconds": _to_the_millisecond(turn),
            "tool_seconds": _to_the_millisecond(round.tool_seconds),
        }
        for round, picture, turn in zip(
            trajectory.rounds, pictures, answered.turn_seconds[: len(pictures)], strict=True
        )
    ]
    counting = None if answered.counts is None else rounds[answered.counts - 1]
    return {
        "id": answered.request.id,
        "prompt": answered.request.prompt,
        "picture": counting and counting["picture"],
        "revised_prompt": counting and counting["prompt"],
        "ending": trajectory.ending,
        "error": trajectory.error,
        "answer": trajectory.answer,
        "rounds": rounds,
        "seed": answered.seed,
        "seconds": _to_the_millisecond(answered.seconds),
        "folder": folder,
        "page": f"{folder}/page.html",
    }


def _to_the_millisecond(seconds: float) -> float:
    return round(seconds, 3)


def _result(row: dict[str, Any]) -> Row:
    for key in ("id", "prompt", "picture", "ending", "folder", "rounds", "seconds"):
        if key not in row:
            raise ValueError(f"no {key!r}; the file is not one of results")
    return row


def _link(source: Path, target: Path) -> None:
    """The same file under a second name; a copy where there are no such things."""
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    partial.unlink(missing_ok=True)
    try:
        os.link(source, partial)
    except OSError:
        shutil.copyfile(source, partial)
    partial.replace(target)
    # Two names of one file are not renamed onto each other.
    partial.unlink(missing_ok=True)


def _save(image: Any, path: Path) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        image.save(partial, "PNG", compress_level=1)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
