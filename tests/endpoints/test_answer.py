"""What a server may say: bounded, unpacked, cleaned; nothing of it raises anything else."""

import asyncio
import gzip
import json
import tracemalloc
import zlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genagent_endpoints import Answer, Lost, clean
from genagent_endpoints.answer import quote, read_bounded, retry_after

NOW = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("0.4", 0.4),
        ("Tue, 14 Nov 2023 22:14:50 GMT", 90.0),
        ("Tue, 14 Nov 2023 22:14:50 -0000", 90.0),
        ("Tue, 14 Nov 2023 22:14:50", 90.0),
        ("Tue, 14 Nov 2023 22:00:00 GMT", 0.0),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 0.0),
        ("soon", None),
        ("-7", None),
        ("nan", None),
        ("inf", None),
        ("1e3", None),
        ("\u0667", None),
        ("1" * 400, None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(header, seconds):
    assert retry_after(header, NOW) == seconds


@given(
    st.one_of(
        st.text(),
        st.from_regex(
            r"\A(Mon, )?[0-9]{1,20} Jan [0-9]{1,25} [0-9]{1,3}:[0-9]{2}(:[0-9]+)? [-+]?[0-9]{1,9}\Z"
        ),
    )
)
def test_no_retry_after_raises_or_is_endless(header):
    seconds = retry_after(header, NOW)
    assert seconds is None or 0.0 <= seconds < 1e12


def read(packed: bytes, encoding: str, limit: int, size: int = 7) -> bytes:
    async def chunks():
        for start in range(0, len(packed), size):
            yield packed[start : start + size]

    return asyncio.run(read_bounded(chunks(), encoding, limit))


PACK = {"": bytes, "identity": bytes, "gzip": gzip.compress, "deflate": zlib.compress}


@given(st.binary(max_size=300), st.sampled_from(sorted(PACK)), st.integers(1, 400))
def test_a_body_comes_whole_however_it_is_packed_and_cut(body, encoding, size):
    packed = PACK[encoding](body)
    assert read(packed, encoding, max(len(body), len(packed)), size) == body


@pytest.mark.parametrize("encoding", sorted(PACK))
def test_a_body_over_the_limit_is_lost(encoding):
    body = bytes(range(256))
    packed = PACK[encoding](body)
    limit = max(len(packed), 256)
    assert read(packed, encoding, limit) == body
    with pytest.raises(Lost, match=f"over {limit - 1} bytes"):
        read(packed, encoding, limit - 1)


def test_a_bomb_is_not_unpacked():
    bomb = gzip.compress(bytes(200 * 1024 * 1024), 9)
    tracemalloc.start()
    try:
        with pytest.raises(Lost, match="over 1000000 bytes"):
            read(bomb, "gzip", 1_000_000, size=1 << 20)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("packed", "encoding", "says"),
    [
        (b"no gzip", "gzip", "cannot be unpacked"),
        (gzip.compress(b"x" * 100, mtime=0)[:-9], "gzip", "cut off"),
        (b"", "gzip", "cut off"),
        (b"x", "br", "packed as br"),
        (b"x", "gzip, gzip", "packed as gzip, gzip"),
    ],
)
def test_what_cannot_be_unpacked_is_lost(packed, encoding, says):
    with pytest.raises(Lost, match=says):
        read(packed, encoding, 1000)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a": "\\ud83d\\ude00 \\ud83d!"}', {"a": "\U0001f600 ?!"}),
        (b'["\\uDFFF"]', ["?"]),
        (b'{"\\ud800": 1.5e3}', {"?": 1500.0}),
        ("[\u00e9]".replace("\u00e9", '"\u00e9"').encode(), ["\u00e9"]),
    ],
)
def test_half_a_surrogate_pair_becomes_writable(body, value):
    assert Answer(url="", status=200, body=body).json() == value


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000, b"\xff\xfe\xff", b'{"a":1}x'])
def test_what_is_no_json_is_lost(body):
    with pytest.raises(Lost, match="the answer is not JSON"):
        Answer(url="", status=200, body=body).json()


@given(st.binary(max_size=200) | st.text().map(lambda text: json.dumps({"error": text}).encode()))
def test_the_words_of_an_error_are_one_short_line_that_can_be_written(body):
    words = Answer(url="", status=400, body=body).words()
    assert len(words) <= 300
    assert words == "" or words.isprintable()
    words.encode()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"error": {"message": "too\\n rude"}}', "too rude"),
        (b'{"error": "gone"}', "gone"),
        (b'{"detail": "queue full"}', "queue full"),
        (b"<html>\r\n gateway", "<html> gateway"),
        (b'{"error": {"message": "\\ud800 a\\u001b[31mred"}}', "a [31mred"),
    ],
)
def test_the_words_of_an_error_are_found(body, words):
    assert Answer(url="", status=400, body=body).words() == words


@given(st.text())
def test_cleaning_twice_is_cleaning_once(text):
    assert clean(clean(text)) == clean(text)


@given(
    st.lists(st.sampled_from(["abcdefgh", "x", " ", "\x1b[", "x" * 290, " " * 29_990, "\n"])),
    st.sampled_from([4, 80, 300]),
)
def test_no_part_of_a_secret_is_quoted_wherever_the_text_is_cut(pieces, most):
    said = quote("".join(pieces), "abcdefgh", most)
    assert not set(said) & set("abcdefgh")
    assert len(said) <= most
    assert said.isprintable()
