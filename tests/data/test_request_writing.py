"""Requests are written as they are read, and told apart by what is said of them."""

from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from genagent_data import Request, read_requests, requests_digest, write_requests

TEXT = st.text(st.characters(exclude_categories=("Cs",)), min_size=1).filter(str.strip)
REQUESTS = st.lists(
    st.builds(
        Request,
        id=TEXT,
        prompt=TEXT,
        task=TEXT,
        hints=st.lists(TEXT, max_size=3).map(tuple),
        reference=st.none() | st.just("/pictures/1.png"),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda request: request.id,
)


@given(requests=REQUESTS)
def test_what_is_written_is_read_as_the_same_requests(tmp_path_factory, requests):
    path: Path = tmp_path_factory.mktemp("requests") / "requests.jsonl"
    write_requests(path, requests)
    assert read_requests(path) == requests


@given(some=REQUESTS, others=REQUESTS)
def test_a_digest_tells_requests_apart_wherever_their_pictures_lie(some, others):
    some, moved = ([replace(one, reference=at) for one in some] for at in (None, "/pictures/2.png"))
    others = [replace(one, reference=None) for one in others]
    assert (requests_digest(some) == requests_digest(others)) == (some == others)
    assert requests_digest(some) == requests_digest(moved)
    assert (requests_digest(some) == requests_digest(some[::-1])) == (len(some) == 1)
