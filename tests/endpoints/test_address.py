"""What stands before the host of an address is a secret, and is shown nowhere."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genagent_endpoints import has_credentials, public_url


@pytest.mark.parametrize(
    ("text", "shown", "is_secret"),
    [
        ("http://host:1/v1", "http://host:1/v1", False),
        ("http://me:pass@host/v1", "http://host/v1", True),
        ("http://key@a,http://b", "http://a,http://b", True),
        ("http://me:pa/ss@host", "http://host", False),
        ("postgresql://me:pass@host/runs", "postgresql://host/runs", True),
        ("sqlite:///a@b.db", "sqlite:///a@b.db", False),
        ("sqlite:////home/me@lab/mlflow.db", "sqlite:////home/me@lab/mlflow.db", False),
        ("no address, me@host", "no address, me@host", False),
    ],
)
def test_addresses_are_shown_from_their_host_on(text, shown, is_secret):
    assert public_url(text) == shown
    assert has_credentials(text) is is_secret


@settings(max_examples=30)
@given(
    user=st.from_regex(r"\A[a-zA-Z0-9._~%-]{1,12}(:[a-zA-Z0-9._~%@:-]{0,12})?\Z"),
    rest=st.from_regex(r"\Ah[a-z.]{0,9}(:[0-9]{1,5})?(/[a-z]{0,5})?\Z"),
)
def test_no_user_or_password_is_left(user, rest):
    assert has_credentials(f"https://{user}@{rest}")
    assert public_url(f"at https://{user}@{rest}: refused") == f"at https://{rest}: refused"
