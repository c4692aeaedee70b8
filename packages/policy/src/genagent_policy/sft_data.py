"""Which records are learnt from, and which only measured on. Nothing here loads torch."""

from collections.abc import Iterable
from dataclasses import dataclass

from genagent_data import Record, derive_seed


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordSplit:
    """Records by their numbers, from 0 and in order."""

    taught: list[int]
    held_out: list[int]
    words: dict[int | None, list[str]]
    """Ids of the requests whose records say that the tool reads so many words of a prompt."""

    def check_words(self, words: int | None) -> None:
        """Nothing where all records are of a tool that reads so many words.

        Args:
            words: as the system message of the agent that is taught says; None: it says nothing.

        Raises:
            ValueError: one is not; names the first and how many.
        """
        for other, ids in self.words.items():
            if other != words:
                raise ValueError(
                    f"records of {len(ids)} requests, {ids[0]!r} first, tell the agent that "
                    f"{_read(other)}, and here {_read(words)}; make both the same with "
                    "--world.tool-words"
                )


def split_records(records: Iterable[Record], *, held_out: float) -> RecordSplit:
    """Go through all records once, and take some of them to measure on.

    A record's side follows from its request's id alone: all records of a request are on one side,
    in every run and however the data grow.

    Args:
        held_out: about that share of the requests is held out.

    Raises:
        ValueError: that leaves one side empty, or a record is refused.
        OSError: the records cannot be read.
    """
    split = RecordSplit(taught=[], held_out=[], words={})
    for number, record in enumerate(records):
        place = derive_seed("held-out record", record.request.id) / 2**31
        (split.held_out if place < held_out else split.taught).append(number)
        split.words.setdefault(record.words, []).append(record.request.id)
    if not (split.taught and split.held_out):
        raise ValueError(
            f"holding out {held_out:g} of {len(split.taught) + len(split.held_out)} records leaves "
            f"{len(split.taught)} to learn from and {len(split.held_out)} to measure on; give more "
            "records or another --held-out-share"
        )
    return split


def _read(words: int | None) -> str:
    return "nothing is said of the words read" if words is None else f"the tool reads {words} words"
