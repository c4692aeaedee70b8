"""The files that benchmarks are published as, row by row; what is wrong with one, in one line."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from genagent_data import Request
from genagent_data.request_files import entries
from genagent_data.request_rows import request_of

_SHOWN = 60
_LONGEST = 400


def official_rows(path: Path, keys: Sequence[str]) -> Iterator[tuple[str, dict, Request]]:
    """Place in words, row, and the request that it is, of each row of a file.

    Args:
        keys: that each row must have.

    Raises:
        ValueError: the file cannot be read, or a row is none of the benchmark; the message names
            file and line.
    """
    with one_line(path):
        for number, where, entry in entries(path):
            with at(where):
                if not isinstance(entry, dict):
                    raise ValueError(f"has {shown(entry)}; wants an object of the official file")
                for key in keys:
                    if key not in entry:
                        raise ValueError(f'has no "{key}"; take the official file as it is')
                request = request_of(entry, default_id=str(number), picture=str)
            yield where, entry, request


@contextmanager
def one_line(path: Path) -> Iterator[None]:
    """A file that cannot be read, as ValueError with the remedy."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise ValueError(f"{path}: {reason}; give the benchmark's official file") from error


@contextmanager
def at(where: str) -> Iterator[None]:
    """What is wrong with a row, behind its place; a value of 100 kB is not repeated."""
    try:
        yield
    except (ValueError, RecursionError) as error:
        words = " ".join(str(error).split())
        words = words if len(words) <= _LONGEST else f"{words[:_LONGEST]} ..."
        raise ValueError(f"{where}: {words}") from error


def shown(value: object) -> str:
    """The value, cut short."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} ..."


def whole_number(row: dict, key: str) -> int:
    value = row[key]
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f'"{key}" wants a whole number, has {shown(value)}')
    return value


class Distinct:
    """Ids, each of which may come once."""

    def __init__(self) -> None:
        self._places: dict[int, str] = {}

    def add(self, number: int, where: str) -> None:
        """Raises ValueError where it was there already."""
        if number in self._places:
            raise ValueError(
                f"id {number} is taken by {self._places[number]}; take the official file as it is"
            )
        self._places[number] = where

    def missing_of(self, wanted: Sequence[int]) -> list[int]:
        return [number for number in wanted if number not in self._places]


def some_of(numbers: Sequence[int]) -> str:
    """Example: ``"7, 8, 9 and 12 more"``"""
    first = ", ".join(str(number) for number in numbers[:3])
    return first if len(numbers) <= 3 else f"{first} and {len(numbers) - 3} more"
