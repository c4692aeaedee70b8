"""What a record must be to be learnt from, and what is wrong with one that is not."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from genagent_data.protocol import parse_turn
from genagent_data.record import Record


class RecordError(ValueError):
    """A record that is refused; the message says where, why, and what to do.

    Example: ``Counter(error.reason for error in errors)`` counts what was dropped.
    """

    def __init__(self, reason: str, message: str) -> None:
        """
        Args:
            reason: a name to count by: ``"no_record"`` (the row is none), ``"picture_count"``,
                ``"missing_picture"``, ``"broken_picture"``, ``"huge_picture"``, ``"order"`` (a turn
                that ends the conversation in its middle), ``"text"`` (what the format cannot hold),
                ``"system"``, or ``"format_error/…"`` with one of ``FORMAT_ERRORS``.
        """
        super().__init__(message)
        self.reason = reason

    def at(self, place: str) -> "RecordError":
        """The same, said of a place."""
        return RecordError(self.reason, f"{place}: {self}")


Drop = Callable[[RecordError], object]
"""What is told of each record that is left out."""


@contextmanager
def refusing(place: str, drop: Drop | None) -> Iterator[None]:
    """Leave out what the block refuses, or raise it, with the place in front of the message.

    Raises:
        RecordError: the block did, and nobody wants to be told of drops.
    """
    try:
        yield
    except RecordError as error:
        placed = error.at(place)
        if drop is None:
            raise placed from error
        drop(placed)


def check_record(record: Record, *, allow_format_errors: bool = False) -> None:
    """Nothing where the turns are what the protocol wants and every file can hold the texts.

    Args:
        allow_format_errors: let a turn pass that ``parse_turn`` finds a fault in.

    Raises:
        RecordError: the first fault.
    """
    request = record.request
    texts = (request.id, request.prompt, request.task, *request.hints, request.reference or "")
    for text in (*texts, *record.turns):
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise RecordError(
                "text",
                f"record {request.id!r} holds half of a surrogate pair in {text[:40]!r}; "
                "write the character itself",
            )
    if record.words is not None and record.words < 1:
        raise RecordError("system", f"words is {record.words}; give 1 or more, or leave it out")
    for index, text in enumerate(record.turns):
        turn = parse_turn(text, images_so_far=index, max_rounds=len(record.turns))
        where = f"turn {index + 1} of {len(record.turns)}"
        if turn.error is not None and not allow_format_errors:
            raise RecordError(
                f"format_error/{turn.error}",
                f"{where} would teach the format error {turn.error!r} ({text[:60]!r}); "
                "mend or drop the record, or allow format errors",
            )
        if turn.answer is not None and index < len(record.pictures):
            raise RecordError(
                "order", f"{where} answers, and yet a picture follows; end the record there"
            )
