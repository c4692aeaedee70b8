"""Which records are learnt from, and which only measured on. Nothing here loads torch."""

from collections.abc import Sequence

from genagent_data import Record, derive_seed, parse_turn


def split_records(
    records: Sequence[Record], *, held_out: float
) -> tuple[list[Record], list[Record]]:
    """Records to learn from and held-out ones, in their order.

    A record's side follows from its request's id alone: all records of a request are on one side,
    in every run and however the data grow.

    Args:
        held_out: about that share of the requests is held out.

    Raises:
        ValueError: that leaves one side empty.
    """
    sides: tuple[list[Record], list[Record]] = ([], [])
    for record in records:
        place = derive_seed("held-out record", record.request.id) / 2**31
        sides[place < held_out].append(record)
    if not all(sides):
        raise ValueError(
            f"holding out {held_out:g} of {len(records)} records leaves {len(sides[0])} to learn "
            f"from and {len(sides[1])} held out; give more records or another --held-out-share"
        )
    return sides


def check_records(records: Sequence[Record]) -> None:
    """Nothing where every turn keeps to the protocol; a last call that no picture answers does.

    Raises:
        ValueError: there are no records, or broken ones; names the first and how many.
    """
    if not records:
        raise ValueError("the data hold no record; give a folder that synthesize.py has filled")
    broken = [(record, fault) for record in records if (fault := _fault(record)) is not None]
    if broken:
        record, fault = broken[0]
        raise ValueError(
            f"{len(broken)} of {len(records)} records break the agent's protocol, record "
            f"{record.request.id!r} first ({fault}); make them anew with synthesize.py"
        )


def check_words(records: Sequence[Record], *, words: int | None) -> None:
    """Nothing where all records are of a tool that reads so many words of a prompt.

    Args:
        words: as the system message of the agent that is taught says; None: it says nothing.

    Raises:
        ValueError: one is not; names the first and how many.
    """
    others = [record for record in records if record.words != words]
    if others:
        raise ValueError(
            f"{len(others)} of {len(records)} records, {others[0].request.id!r} first, are of a "
            f"tool that reads {_words(others[0].words)}, and the agent is told "
            f"{_words(words)}; make both the same with --world.tool-words"
        )


def _words(words: int | None) -> str:
    return "nobody says how many words" if words is None else f"{words} words"


def _fault(record: Record) -> str | None:
    """What is wrong with a record's turns."""
    rounds = len(record.turns)
    for place, text in enumerate(record.turns):
        turn = parse_turn(text, images_so_far=place, max_rounds=rounds)
        if turn.error is not None:
            return f"turn {place + 1}: {turn.error}"
        if turn.answer is not None and place + 1 < rounds:
            return f"turn {place + 1} of {rounds} answers"
    return None
