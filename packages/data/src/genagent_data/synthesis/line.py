"""Chunks of requests on their way through the stages, several at once.

Each stage has workers of its own, so that the teacher writes about one chunk while the tool draws
another and the judge looks at a third. Which requests make a chunk, and so every batch, is fixed by
their order; which chunk is where at a time is not, and nothing depends on it.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from genagent_data.request import Request
from genagent_data.synthesis.chunks import Chunks
from genagent_data.synthesis.draft import Draft, Drop, Fate
from genagent_data.synthesis.funnel import StageFigures, figures_of
from genagent_data.synthesis.painter import Meter
from genagent_data.synthesis.references import begun
from genagent_data.synthesis.stages import OUTAGES, STAGES, Bench

INTAKE = "requests"
OUTAGE = 8
"""So many drafts lost to services, and half of a chunk, or all of one chunk after another, are
taken for a failure of these and not theirs: one that goes down takes what is on its way along, and
what is written as lost stays so."""


class Line:
    """Takes requests through ``STAGES``; what is done already is not done again."""

    def __init__(
        self,
        bench: Bench,
        chunks: Chunks,
        *,
        workers: int,
        counted: Callable[[StageFigures], None],
    ) -> None:
        """
        Args:
            workers: chunks in one stage at a time.
            counted: hears of each chunk that a stage is done with, from any thread, one at a time.
        """
        self._bench = bench
        self._chunks = chunks
        self._workers = workers
        self._counted = counted
        self._counting = threading.Lock()
        self._lost_in_a_row: Counter[str] = Counter()
        self._stop = threading.Event()
        self._failure: BaseException | None = None

    def run(self, requests: Iterable[Request], *, size: int) -> int:
        """Take all of them to the end; returns how many chunks they were.

        Raises:
            ValueError: the folder has other requests, or a service is configured wrongly.
            OSError: something cannot be written, or a service has gone down. All that
                was paid for is kept, here and wherever this ends early.
        """
        on_their_way = self._workers * len(STAGES)
        free = threading.Semaphore(on_their_way)
        pools = [ThreadPoolExecutor(self._workers, thread_name_prefix=name) for name in STAGES]
        number = 0
        try:
            for number, chunk in enumerate(_cut(requests, size), start=1):
                free.acquire()
                if self._stop.is_set():
                    free.release()
                    break
                self._take_in(number - 1, chunk)
                self._pass_on(pools, 0, number - 1, free)
            for _ in range(on_their_way):
                free.acquire()
        finally:
            # Chunks under way end their stage, so that what was asked is heard and kept.
            self._stop.set()
            for pool in pools:
                pool.shutdown(cancel_futures=True)
        if self._failure is not None:
            raise self._failure
        return number

    def _pass_on(
        self,
        pools: list[ThreadPoolExecutor],
        stage: int,
        chunk: int,
        free: threading.Semaphore,
    ) -> None:
        def work() -> None:
            try:
                if not self._stop.is_set():
                    self._do(stage + 1, chunk)
            except BaseException as error:  # raised where all chunks are waited for
                self._failure = self._failure or error
                self._stop.set()
            if self._stop.is_set() or stage + 1 == len(pools):
                free.release()
            else:
                self._pass_on(pools, stage + 1, chunk, free)

        try:
            pools[stage].submit(work)
        except RuntimeError:  # the pools are being shut down, by Ctrl-C or a failure
            free.release()

    def _do(self, stage: int, chunk: int) -> None:
        """The stage of that number, from 1, on a chunk; the intake is stage 0."""
        name, work = list(STAGES.items())[stage - 1]
        figures = self._chunks.figures(stage, chunk)
        if figures is None:
            drafts = self._chunks.drafts(stage - 1, chunk)
            meter, started = Meter(), time.perf_counter()
            fates = work(self._bench, drafts, meter) if drafts else []
            open_ones = sum(draft.ending is None for draft in drafts)
            if open_ones:
                self._refuse_outage(name, fates, open_ones=open_ones)
            figures = figures_of(name, fates, meter, seconds=time.perf_counter() - started)
            self._write(stage, chunk, fates, figures, known=_pictures(drafts))
        self._count(figures)

    def _take_in(self, chunk: int, requests: list[Request]) -> None:
        figures = self._chunks.figures(0, chunk)
        if figures is None:
            started = time.perf_counter()
            fates = [begun(request, self._bench.painter.store) for request in requests]
            seconds = time.perf_counter() - started
            figures = figures_of(INTAKE, fates, Meter(), seconds=seconds)
            self._write(0, chunk, fates, figures, known=set())
        elif not _are_of(self._chunks.fates(0, chunk), requests):
            raise ValueError(
                f"chunk {chunk} was begun with other requests; give the requests and the chunk "
                "size that this folder was begun with, or another folder"
            )
        self._count(figures)

    def _write(
        self, stage: int, chunk: int, fates: list[Fate], figures: StageFigures, *, known: set[str]
    ) -> None:
        # Fates outlast a machine that goes down, and so must what they name.
        self._bench.painter.store.sync(_pictures(fates) - known)
        self._chunks.write(stage, chunk, fates, figures)

    def _refuse_outage(self, stage: str, fates: list[Fate], *, open_ones: int) -> None:
        """Raises ConnectionError where services have left half of a chunk without an answer, or
        several small ones with none at all."""
        lost = [fate for fate in fates if isinstance(fate, Drop) and fate.reason in OUTAGES]
        with self._counting:
            all_lost = len(lost) == open_ones
            before = self._lost_in_a_row[stage] if all_lost else 0
            self._lost_in_a_row[stage] = before + len(lost) if all_lost else 0
        if before + len(lost) >= OUTAGE and 2 * len(lost) >= open_ones:
            last = lost[-1]
            where = f" and the {before} before them" if before else ""
            raise ConnectionError(
                f"stage {stage}: {last.reason} for {len(lost)} of {open_ones} in a chunk{where} "
                f"(the last: {last.detail}); see to that service, then the same command goes on"
            )

    def _count(self, figures: StageFigures) -> None:
        with self._counting:
            self._counted(figures)


def _cut(requests: Iterable[Request], size: int) -> Iterator[list[Request]]:
    remaining = iter(requests)
    while chunk := list(islice(remaining, size)):
        yield chunk


def _are_of(fates: list[Fate], requests: list[Request]) -> bool:
    """Whether the intake of these requests had these fates."""
    return len(fates) == len(requests) and all(
        fate.id == request.id if isinstance(fate, Drop) else fate.request == request
        for fate, request in zip(fates, requests, strict=True)
    )


def _pictures(fates: Iterable[Fate]) -> set[str]:
    """Names of those that drafts need."""
    return {
        name
        for fate in fates
        if isinstance(fate, Draft)
        for name in (*fate.pictures, fate.reference)
        if name is not None
    }
