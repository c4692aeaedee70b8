"""The prompt pool: requests of many files, none of them twice, none known from a benchmark."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Literal

from genagent_data.contamination import BenchmarkPrompts
from genagent_data.near_duplicates import PromptIndex
from genagent_data.prompt_words import words_of
from genagent_data.reference_pictures import ArchivedPictures, UnusableReference, read_reference
from genagent_data.request import Request
from genagent_data.request_files import IMAGES, read_requests

DropReason = Literal["contaminated", "duplicate", "near_duplicate", "reference"]
SIMILARITIES = (0.3, 0.95)
"""Between these the hashing finds what it should; below, everything resembles everything."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolConfig:
    """What a pool is made of.

    Example: ``PoolConfig(files=(Path("mine.txt"), Path("Echo-4o-Image/Surrel-Fantasy-Image")),
    benchmarks=(Path("Geneval++.jsonl"),))``
    """

    files: tuple[Path, ...] = ()
    """Requests to learn from, in any form that request files have."""
    benchmarks: tuple[Path, ...] = ()
    """Requests of which nothing may be learnt, likewise."""
    similarity: float = 0.8
    """Jaccard index of two prompts' shingles of three words, from which on they are the same."""
    limit: int | None = None
    """At most as many requests are kept; None: all of them."""
    unpacked: Path | None = None
    """Where pictures from archives are written; None: beside the archives."""

    def problems(self) -> list[str]:
        """A line for each fault; the files are read, the pictures are not."""
        lines = []
        low, high = SIMILARITIES
        if not low <= self.similarity <= high:
            lines.append(
                f"similarity is {self.similarity}; give a number from {low} to {high} (0.8: a few "
                "words of a long prompt may differ)"
            )
        if self.limit is not None and self.limit < 1:
            lines.append(f"limit is {self.limit}; keep at least one request, or leave it out")
        for path in (*self.files, *self.benchmarks):
            try:
                read_requests(path)
            except (ValueError, OSError) as error:
                lines.append(str(error))
        for name, paths in (("files", self.files), ("benchmarks", self.benchmarks)):
            taken = Counter(_labels(paths))
            lines += [
                f"{name}: {count} files are called {label!r}; rename one, so that the ids of their "
                "requests differ"
                for label, count in taken.items()
                if count > 1
            ]
        return lines


@dataclass(frozen=True, kw_only=True, slots=True)
class DroppedRequest:
    """A request that the pool does not have.

    Example: ``DroppedRequest(request=request, reason="near_duplicate", collides_with="mine/mine-3",
    detail="similarity 0.86")``
    """

    request: Request
    reason: DropReason
    """``duplicate`` has the words of a request that was kept (or, rarely, the same runs of words in
    another order), ``near_duplicate`` nearly so, ``contaminated`` those of a benchmark; a
    ``reference`` is missing or of no use."""
    detail: str
    """One line."""
    collides_with: str | None = None
    """Id of the request that was kept or of the benchmark's; None for a ``reference``."""


def read_pool(paths: Iterable[Path]) -> Iterator[Request]:
    """The requests of files, one file after the other, under ids that differ between files.

    An id becomes ``FILE/ID``, where FILE is the file's name without its suffix or, where several
    files have that, ``FOLDER.FILE``; the order of the files does not change it.

    Raises:
        ValueError, OSError: as ``read_requests``, when the file's turn comes.
    """
    paths = tuple(paths)
    for label, path in zip(_labels(paths), paths, strict=True):
        for request in read_requests(path):
            yield replace(request, id=f"{label}/{request.id}")


def prompt_pool(
    requests: Iterable[Request],
    *,
    config: PoolConfig,
    dropped: Callable[[DroppedRequest], None] = lambda drop: None,
) -> Iterator[Request]:
    """Those of the requests that a pool keeps, in their order, one by one as they are asked for.

    Of requests that say nearly the same the first is kept. One whose reference picture is missing,
    damaged or too large is not; a picture in an archive is unpacked, and the request then refers to
    it. The same requests give the same pool on every machine; what a pool has kept, it keeps whole
    when it is asked again. Held are the words of what was kept: see ``PromptIndex``.

    Args:
        requests: of any source, for instance ``read_pool(config.files)``.
        config: benchmarks, similarity and limit; its files are not read here.
        dropped: hears of each request that is not kept.

    Raises:
        ValueError: a benchmark cannot be read, or a request has the id of one that was kept.
        OSError: a benchmark cannot be read, or an unpacked picture not be written.
    """
    kept = _kept(requests, config, dropped)
    return kept if config.limit is None else islice(kept, config.limit)


def colliding(
    requests: Iterable[Request], benchmark: Iterable[Request], *, similarity: float
) -> list[DroppedRequest]:
    """Those that ``prompt_pool`` would drop for what a benchmark asks."""
    known = BenchmarkPrompts(benchmark, similarity=similarity)
    found = ((request, known.collision(words_of(request.prompt))) for request in requests)
    return [_contaminated(request, *how) for request, how in found if how is not None]


def _contaminated(request: Request, name: str, how: str) -> DroppedRequest:
    return DroppedRequest(request=request, reason="contaminated", collides_with=name, detail=how)


def _kept(
    requests: Iterable[Request], config: PoolConfig, dropped: Callable[[DroppedRequest], None]
) -> Iterator[Request]:
    benchmarks = BenchmarkPrompts(read_pool(config.benchmarks), similarity=config.similarity)
    index = PromptIndex(similarity=config.similarity)
    references = _References(config.unpacked)
    ids: set[str] = set()
    for request in requests:
        if request.id in ids:
            raise ValueError(f"id {request.id!r} is given twice; give each request its own")
        words = words_of(request.prompt)
        drop = None
        if (collision := benchmarks.collision(words)) is not None:
            drop = _contaminated(request, *collision)
        elif (close := index.closest(words)) is not None:
            name, similarity = close
            drop = DroppedRequest(
                request=request,
                reason="duplicate" if similarity == 1 else "near_duplicate",
                collides_with=name,
                detail=f"similarity {similarity:.2f}",
            )
        elif request.reference is not None:
            try:
                path = references.checked(Path(request.reference))
            except UnusableReference as error:
                drop = DroppedRequest(request=request, reason="reference", detail=str(error))
            else:
                request = replace(request, reference=str(path))
        if drop is not None:
            dropped(drop)
            continue
        ids.add(request.id)
        index.add(request.id, words)
        yield request


class _References:
    """Reference pictures; those that are not there, from the archives of the same folder."""

    def __init__(self, unpacked: Path | None) -> None:
        self.unpacked = unpacked
        self._archives: dict[Path, ArchivedPictures] = {}

    def checked(self, path: Path) -> Path:
        """Where the picture is. Raises UnusableReference where it is of no use."""
        damaged: list[str] = []
        if not path.is_file() and path.parent.name == IMAGES:
            archives = self._archives_of(path.parent)
            path = archives.find(path.name) or path
            damaged = archives.damaged
        try:
            read_reference(path)
        except UnusableReference as error:
            # What is missing may be in what could not be read.
            lines = damaged if error.why == "missing" else []
            raise UnusableReference(error.why, "; ".join([str(error), *lines])) from error
        return path

    def _archives_of(self, folder: Path) -> ArchivedPictures:
        if folder not in self._archives:
            # Two folders of Echo-4o-Image both have a 00000.jpg.
            place = folder if self.unpacked is None else self.unpacked / folder.parent.name
            self._archives[folder] = ArchivedPictures(folder, unpacked=place)
        return self._archives[folder]


def _labels(paths: Iterable[Path]) -> list[str]:
    # Not resolved: in a cache of downloads the name with a meaning is that of the link.
    paths = [path.absolute() for path in paths]
    stems = Counter(path.stem for path in paths)
    return [
        path.stem if stems[path.stem] == 1 else f"{path.parent.name}.{path.stem}" for path in paths
    ]
