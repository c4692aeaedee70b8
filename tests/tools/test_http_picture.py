"""What an answer may hold: pictures whole, small enough and ours, by base64 or by URL."""

import base64
import io
import json
from urllib.parse import quote_from_bytes

import pytest
from PIL import Image
from tests.hostile.drawn import NO_PALETTE
from tests.http_server import Answer
from tests.picture_server import (
    answering,
    as_base64,
    as_png,
    drawn,
    expected,
    first_then_right,
    paint,
    picture_answer,
    right,
    tool_for,
)

from genagent_tools import DrawSettings, ToolError
from genagent_tools.http_drawing import SMALL_ANSWER


def test_answers_are_json_with_one_picture_each():
    two = json.loads(right({"prompt": "x", "seed": 1}, 0).body)
    two["data"] *= 2
    answer = Answer(body=json.dumps(two).encode())
    with (
        answering(lambda body, number: answer) as server,
        tool_for(server, max_attempts=1) as tool,
        pytest.raises(ToolError, match="holds not one picture"),
    ):
        tool.generate(["x"], [1])


def test_a_picture_with_one_flipped_bit_is_not_taken():
    data = bytearray(as_png(Image.new("RGB", (16, 16), "red")))
    data[data.index(b"IDAT") + 12] ^= 1
    broken = picture_answer("x", 5, b64_json=base64.b64encode(bytes(data)).decode())
    with answering(first_then_right(broken)) as server, tool_for(server) as tool:
        assert drawn(tool, ["x"], [5]) == expected(["x"], [5])
        assert tool.counts.failures == 1


@pytest.mark.parametrize("lost", ["pixels", "palette"])
def test_a_png_without_its_pixels_or_palette_is_not_taken(lost):
    whole = as_png(Image.new("RGB", (16, 16)))
    # Pillow's own check of it is an IndexError.
    without = whole[: whole.index(b"IDAT") - 4] + whole[-12:] if lost == "pixels" else NO_PALETTE
    answer = picture_answer("x", 5, b64_json=base64.b64encode(without).decode())
    with (
        answering(lambda body, number: answer) as server,
        tool_for(server, max_attempts=1) as tool,
        pytest.raises(ToolError, match="the picture cannot be decoded"),
    ):
        tool.generate(["x"], [5])


def test_jpegs_are_taken_and_gifs_are_not():
    picture = Image.new("RGB", (16, 16), (200, 30, 30))
    entries = []
    for kind in ("JPEG", "GIF"):
        buffer = io.BytesIO()
        picture.save(buffer, format=kind)
        entries.append(base64.b64encode(buffer.getvalue()).decode())
    script = lambda body, number: picture_answer("", 0, b64_json=entries[min(number, 1)])  # noqa: E731
    with answering(script) as server, tool_for(server, max_attempts=1) as tool:
        [red] = tool.generate(["x"], [1])
        assert red.getpixel((8, 8)) == pytest.approx((200, 30, 30), abs=3)
        with pytest.raises(ToolError, match="cannot be decoded"):
            tool.generate(["x"], [1])


def test_a_picture_of_another_size_is_an_error():
    with (
        answering() as server,
        tool_for(server, settings=DrawSettings(width=32, height=32)) as tool,
        pytest.raises(ToolError, match=r"asked for \(32, 32\) pixels, was given \(16, 16\)"),
    ):
        tool.generate(["x"], [1])


def test_huge_answers_and_huge_pictures_are_refused():
    bomb = picture_answer("", 0, b64_json=as_base64(Image.new("1", (3000, 3000))))
    flood = Answer(body=b" " * 100_000)
    for answer, says in ((bomb, "3000x3000 pixels, over 4096"), (flood, "over 50000 bytes")):
        with (
            answering(lambda body, number, answer=answer: answer) as server,
            tool_for(server, max_pixels=4096, max_answer_bytes=50_000, max_attempts=1) as tool,
            pytest.raises(ToolError, match=says),
        ):
            tool.generate(["x"], [5])


def test_urls_are_fetched_from_the_server_itself_and_as_data():
    def script(body, number):
        data = base64.b64encode(as_png(paint(body["prompt"], body["seed"]))).decode()
        own = f"/pictures/{body['prompt']}/{body['seed']}"
        full = f"http://127.0.0.1:{server.server_address[1]}{own}"
        url = (own, full, f"data:image/png;base64,{data}")[number]
        return picture_answer("", 0, url=url)

    with answering(script) as server, tool_for(server) as tool:
        for number in range(3):
            assert drawn(tool, ["x"], [number]) == expected(["x"], [number])
    assert server.fetched == ["/pictures/x/0", "/pictures/x/1"]


@pytest.mark.parametrize(
    ("query", "arrives"),
    [
        ("?sig=a%2Fb+c%20%7e=", "?sig=a%2Fb+c%20%7e="),
        ("?name=\u00e9 |", "?name=%C3%A9%20%7C"),
    ],
)
def test_a_url_is_fetched_as_it_came_but_for_what_no_url_may_hold(query, arrives):
    script = lambda body, number: picture_answer("", 0, url=f"/pictures/x/5{query}")  # noqa: E731
    with answering(script) as server, tool_for(server) as tool:
        assert drawn(tool, ["x"], [5]) == expected(["x"], [5])
    assert server.fetched == [f"/pictures/x/5{arrives}"]


def test_a_host_of_other_letters_is_looked_up_by_its_ascii_name():
    script = lambda body, number: picture_answer("", 0, url="http://b\u00fccher.invalid/x")  # noqa: E731
    with (
        answering(script) as server,
        tool_for(server, max_attempts=1, url_hosts=("b\u00fccher.invalid:80",)) as tool,
        pytest.raises(ToolError, match=r"connect to host xn--bcher-kva\.invalid:80"),
    ):
        tool.generate(["x"], [5])


def test_a_picture_too_large_to_be_decoded_at_once_comes_all_the_same():
    noise = Image.effect_noise((200, 200), 60).convert("RGB")
    encoded = as_base64(noise)
    assert len(encoded) > SMALL_ANSWER
    script = lambda body, number: picture_answer("", 0, b64_json=encoded)  # noqa: E731
    with answering(script) as server, tool_for(server) as tool:
        assert drawn(tool, ["x"], [5]) == [noise.tobytes()]


def test_a_user_in_a_pictures_url_takes_the_place_of_the_key(monkeypatch):
    monkeypatch.setenv("TOOL_KEY", "secret")
    script = lambda body, number: picture_answer(  # noqa: E731
        "", 0, url=f"{server.url.replace('//', '//me:pass@')}/pictures/x/5"
    )
    with answering(script) as server, tool_for(server, api_key_env="TOOL_KEY") as tool:
        assert drawn(tool, ["x"], [5]) == expected(["x"], [5])
    assert server.keys == ["Bearer secret", "Basic bWU6cGFzcw=="]


def test_urls_of_other_hosts_are_fetched_only_when_allowed_and_without_the_key(monkeypatch):
    monkeypatch.setenv("TOOL_KEY", "secret")
    with answering() as other:
        elsewhere = f"{other.url}/pictures/x/5"
        script = lambda body, number: picture_answer("", 0, url=elsewhere)  # noqa: E731
        with answering(script) as server:
            host = other.url.removeprefix("http://")
            with (
                tool_for(server, api_key_env="TOOL_KEY") as tool,
                pytest.raises(ToolError, match=f"the picture is at {host}; add that to url_hosts"),
            ):
                tool.generate(["x"], [5])
            with tool_for(server, api_key_env="TOOL_KEY", url_hosts=(host,)) as tool:
                assert drawn(tool, ["x"], [5]) == expected(["x"], [5])
    assert server.keys == ["Bearer secret"] * 2
    assert other.keys == [None]


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("file:///etc/passwd", "the picture is at None:None"),
        ("http://[::1", "the picture's URL cannot be read"),
        ("http://127.0.0.1:x/", "the picture's URL cannot be read"),
        ("//example.org/x.png", "the picture is at example.org:80"),
        ("/v1/models", r"the picture's URL cannot be fetched \(.*404\) \(after 2 attempts"),
        ("data:image/png,\ud800", "cannot be decoded"),
    ],
)
def test_urls_that_are_none_of_ours_are_not_followed(url, says):
    script = lambda body, number: picture_answer("", 0, url=url)  # noqa: E731
    with (
        answering(script) as server,
        tool_for(server, max_attempts=2) as tool,
        pytest.raises(ToolError, match=says),
    ):
        tool.generate(["x"], [5])


@pytest.mark.parametrize(
    ("mode", "colour", "pixel"),
    [
        ("L", 77, (77, 77, 77)),
        ("P", 0, (0, 0, 0)),
        ("RGBA", (10, 20, 30, 255), (10, 20, 30)),
    ],
)
def test_pictures_of_every_mode_come_as_rgb(mode, colour, pixel):
    answer = picture_answer("", 0, b64_json=as_base64(Image.new(mode, (4, 4), colour)))
    with answering(lambda body, number: answer) as server, tool_for(server) as tool:
        [picture] = tool.generate(["x"], [1])
    assert (picture.mode, picture.getpixel((2, 2))) == ("RGB", pixel)


def test_an_answer_and_a_picture_may_be_exactly_as_large_as_allowed():
    answer = right({"prompt": "x", "seed": 5}, 0)
    exact = {"max_pixels": 256, "max_answer_bytes": len(answer.body)}
    with answering() as server:
        with tool_for(server, **exact) as tool:
            assert drawn(tool, ["x"], [5]) == expected(["x"], [5])
        for name, says in (("max_pixels", "over 255"), ("max_answer_bytes", "the answer is over")):
            less = exact | {name: exact[name] - 1}
            with (
                tool_for(server, max_attempts=1, **less) as tool,
                pytest.raises(ToolError, match=says),
            ):
                tool.generate(["x"], [5])


def test_a_picture_behind_a_url_may_be_no_larger_than_an_answer():
    script = lambda body, number: picture_answer("", 0, url="/pictures/x/5")  # noqa: E731
    with (
        answering(script) as server,
        tool_for(server, max_answer_bytes=60, max_attempts=1) as tool,
        pytest.raises(ToolError, match="over 60 bytes"),
    ):
        tool.generate(["x"], [5])
    assert server.fetched == ["/pictures/x/5"]


def test_a_data_url_may_be_percent_encoded():
    url = "data:image/png," + quote_from_bytes(as_png(paint("x", 5)))
    answer = picture_answer("", 0, url=url)
    with answering(lambda body, number: answer) as server, tool_for(server) as tool:
        assert drawn(tool, ["x"], [5]) == expected(["x"], [5])


def test_a_long_data_url_without_base64_is_not_decoded():
    answer = picture_answer("", 0, url="data:image/png," + "%41" * 1_000_000)
    with (
        answering(lambda body, number: answer) as server,
        tool_for(server, max_attempts=1) as tool,
        pytest.raises(ToolError, match="3000000 characters without base64"),
    ):
        tool.generate(["x"], [5])


def test_where_both_are_given_nothing_is_fetched():
    both = {"b64_json": as_base64(paint("x", 5)), "url": "http://127.0.0.1:1/x.png"}
    answer = picture_answer("", 0, **both)
    with answering(lambda body, number: answer) as server, tool_for(server) as tool:
        assert drawn(tool, ["x"], [5]) == expected(["x"], [5])
