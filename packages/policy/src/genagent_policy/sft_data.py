"""Which records are learnt from, and which only measured on. Nothing here loads torch."""

import math
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
    in every run and however the data grow. Only where few requests would leave a side empty, the
    one nearest to it goes there.

    Args:
        held_out: about that share of the requests is held out.

    Raises:
        ValueError: there are fewer than two requests, or a record is refused.
        OSError: the records cannot be read.
    """
    places: list[float] = []
    words: dict[int | None, list[str]] = {}
    for record in records:
        places.append(derive_seed("held-out record", record.request.id) / 2**31)
        words.setdefault(record.words, []).append(record.request.id)
    if len(set(places)) < 2:
        raise ValueError(
            f"{len(places)} records of {len(set(places))} requests; wants two requests or more, "
            "to learn from one and to measure on another"
        )
    edge = min(max(held_out, math.nextafter(min(places), 1)), max(places))
    sides: tuple[list[int], list[int]] = ([], [])
    for number, place in enumerate(places):
        sides[place < edge].append(number)
    return RecordSplit(taught=sides[0], held_out=sides[1], words=words)


def _read(words: int | None) -> str:
    return "nothing is said of the words read" if words is None else f"the tool reads {words} words"
