"""Requests by the name of what holds them: a file, or the user's own ``module:callable``."""

from collections.abc import Iterable
from pathlib import Path

from genagent_data import Request, read_requests
from genagent_worlds.own_code import call, is_code


def requests_from(source: Path) -> list[Request]:
    """The requests of a file, or those that own code gives: texts, or ``Request`` where there are
    hints. A text is named after the code and its place, from 1.

    A run that is resumed calls the code again, which wants to give the same.

    Raises:
        ValueError: the file or the code holds something else, nothing, or an id twice.
        OSError: the file cannot be read.
    """
    name = str(source)
    if not is_code(name):
        return read_requests(source)
    given = call(name)
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise ValueError(f"{name} gives a {type(given).__name__}; wants a list of requests")
    requests: dict[str, Request] = {}
    for number, one in enumerate(given, start=1):
        request = _request(f"{name}-{number}", one)
        if request.id in requests:
            raise ValueError(f"{name}: id {request.id!r} is taken; give each request its own")
        requests[request.id] = request
    if not requests:
        raise ValueError(f"{name}: holds no request; give at least one prompt")
    return list(requests.values())


def _request(id: str, given: object) -> Request:
    if isinstance(given, Request):
        return given
    if not isinstance(given, str):
        kind = type(given).__name__
        raise ValueError(f"{id} is a {kind}; wants a text, or a genagent_data.Request")
    return Request(id=id, prompt=given)
