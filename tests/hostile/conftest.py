"""A server with a token, which no caller has."""

import pytest
from tests.hostile.knocking import HEAD_SECONDS
from tests.tools.painting import TOKEN, Painter, serving


@pytest.fixture(scope="module")
def url():
    """A server with a token, which none of these callers has."""
    with serving(Painter(), token=TOKEN, head_seconds=HEAD_SECONDS, body_seconds=2.0) as running:
        yield running
