"""Addresses of servers. A run writes them down, in its configuration and in what it says of errors,
so that no secret may stand in one."""

import re

_BEFORE_HOST = re.compile(r"(?<=://)(?!/)[^\s,]*@")


def public_url(text: str) -> str:
    """A text without what stands before the host of the addresses in it.

    Example: ``public_url("http://me:secret@host/v1")`` is ``"http://host/v1"``.
    """
    return _BEFORE_HOST.sub("", text)


def has_credentials(text: str) -> bool:
    """Whether a user or a password stands in an address."""
    return re.search(r"://[^/?#\s,]*@", text) is not None
