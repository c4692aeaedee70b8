"""Ranks of a job as threads of one process, for what they tell one another without torch."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from genagent_policy import Ranks


class Thread(Ranks):
    """A rank in this process; all of them meet in ``desk``."""

    def __init__(self, rank: int, size: int, desk: list, meeting: Barrier) -> None:
        self.rank, self.size = rank, size
        self._desk, self._meeting = desk, meeting

    def gather(self, value):
        self._desk[self.rank] = value
        self._meeting.wait()
        every = list(self._desk)
        self._meeting.wait()
        return every

    def exchange(self, parcels):
        return [item for sent in self.gather(parcels) for item in sent[self.rank]]


def as_ranks(size: int, work) -> list:
    """What each of so many ranks makes of ``work``."""
    desk, meeting = [None] * size, Barrier(size)
    with ThreadPoolExecutor(size) as threads:
        return list(threads.map(lambda rank: work(Thread(rank, size, desk, meeting)), range(size)))
