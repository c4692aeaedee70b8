"""The door of our own servers: what they are called, and who may ask without a token."""

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.hostile.knocking import get
from tests.tools.painting import GENERATIONS, TOKEN, Painter, serving

from genagent_tools import ServerConfig

KNOWN = ["localhost", "localhost:8000", "127.0.0.1", "127.0.0.1:1", "127.9.9.9", "[::1]:80"]
NAMES = st.from_regex(r"\A[a-z.-]{1,20}(:[0-9]{1,5})?\Z").filter(
    lambda name: name[:9] != "localhost"
)


@pytest.fixture(scope="module")
def open_url():
    with serving(Painter()) as running:
        yield running


@settings(max_examples=50)
@given(host=st.sampled_from([*KNOWN, "evil.example", "localhost.evil.example", "[::2]"]) | NAMES)
def test_without_a_token_only_loopbacks_own_names_are_answered_to(open_url, host):
    status = get(open_url, "/v1/models", host=host)[9:12]
    assert status == (b"200" if host in KNOWN else b"421")


def test_pages_from_elsewhere_may_not_ask(open_url):
    body = {"prompt": "x", "seed": 1}
    for origin, status in (
        ("http://evil.example", 403),
        ("null", 403),
        ("http://localhost:3000", 200),
        ("http://[", 403),
    ):
        answer = httpx.post(open_url + GENERATIONS, json=body, headers={"origin": origin})
        assert answer.status_code == status
    answer = httpx.post(
        open_url + GENERATIONS, content='{"prompt": "x"}', headers={"content-type": "text/plain"}
    )
    # A page may send this without being asked first.
    assert answer.status_code == 422


def test_a_proxy_calls_it_by_the_names_that_it_was_given():
    with serving(Painter(), allowed_hosts=("pictures.example",)) as url:
        for host, status in (("pictures.example:80", 200), ("other.example", 421)):
            assert httpx.get(url + "/v1/models", headers={"host": host}).status_code == status


def test_with_a_token_it_may_be_called_by_any_name(url):
    answer = httpx.get(
        url + "/v1/models", headers={"host": "any.example", "authorization": f"Bearer {TOKEN}"}
    )
    assert answer.status_code == 200


@pytest.mark.parametrize("name", ["", "a:80", "http://a", "*.example", "Upper.example"])
def test_a_name_that_no_host_has_is_named(name):
    with pytest.raises(ValueError, match=r"allowed_hosts has .*; wants a name as example.org"):
        ServerConfig(allowed_hosts=(name,))
