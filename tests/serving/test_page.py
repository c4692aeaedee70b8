"""Pages are read as a browser reads them: by a parser that knows what is markup."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.serving.answers import answered, picture

from genagent_data.pictures import png_bytes
from genagent_serving import index_page, request_page

HOSTILE = (
    "</title></style></p><script>alert(1)</script><img src=x onerror=alert(2)>"
    "\"'><svg/onload=alert(3)> &lt;b&gt; {{ 7*7 }} {% raw %} <!-- ]]> \x00\x1b[31m \u202e"
)
ABOUT = {"policy": "sft", "tool": "flux-mini"}


class Parsed(HTMLParser):
    """Elements with their attributes, and all text outside of the style."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.style = ""
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            self.style += data
        else:
            self.text += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def shape(page: str) -> list[tuple[str, tuple[str, ...]]]:
    return [(tag, tuple(sorted(attributes))) for tag, attributes in Parsed(page).elements]


def hostile_page(words: str, broken: bool = False) -> str:
    ending = {"ending": "format_error", "error": words, "answer": None} if broken else {}
    return request_page(
        answered(words, id=words, words=words, **ending), {**ABOUT, "policy": words}
    )


@given(st.text(min_size=1).filter(lambda text: bool(text.strip())))
@example(HOSTILE)
def test_words_of_a_model_are_words_on_the_page(words: str):
    plain = shape(hostile_page("plain"))
    assert shape(hostile_page(words)) == plain
    assert shape(hostile_page(words, broken=True)) == shape(hostile_page("plain", broken=True))


def test_they_are_shown_to_the_letter():
    parsed = Parsed(hostile_page(HOSTILE))
    assert "<script>alert(1)</script><img src=x onerror=alert(2)>" in parsed.text
    assert "&lt;b&gt; {{ 7*7 }}" in parsed.text
    assert "\x1b" not in parsed.text and "\u202e" not in parsed.text and "␛[31m" in parsed.text
    assert not parsed.all("script")


def test_nothing_is_allowed_or_asked_from_elsewhere():
    page = request_page(answered(), ABOUT)
    parsed = Parsed(page)
    [policy] = [m["content"] for m in parsed.all("meta") if "http-equiv" in m]
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'" and "script-src" not in rules
    digest = base64.b64encode(hashlib.sha256(parsed.style.encode()).digest()).decode()
    assert rules["style-src"] == f"'sha256-{digest}'"
    assert not re.findall(r"https?://", page)
    assert not [a for _, attributes in parsed.elements for a in attributes if a.startswith("on")]
    assert not [1 for _, attributes in parsed.elements if "style" in attributes]


def test_a_page_has_all_that_happened():
    parsed = Parsed(request_page(answered(words="my words"), ABOUT))
    sources = [image["src"] for image in parsed.all("img")]
    wanted = [base64.b64encode(png_bytes(picture(shade))).decode() for shade in (10, 20)]
    assert sources == [f"data:image/png;base64,{data}" for data in wanted]
    text = " ".join(parsed.text.split())
    assert text.count("my words") == 6
    assert "Round 1 taken for wrong" in text and "Round 2 counts taken for right" in text
    assert "drawn in 0.2 s, seed 7" in text and "thought for 0.5 s" in text
    assert "policy sft" in text and "seed of this request 3" in text


@pytest.mark.parametrize(
    ("story", "words"),
    [
        (
            {"shades": (None,), "ending": "tool_failure", "error": "no paint", "answer": None},
            "The tool failed (no paint); there is no picture.",
        ),
        (
            {"shades": (1, None), "ending": "tool_failure", "error": "no paint", "answer": None},
            "The tool failed (no paint); the last picture counts.",
        ),
        (
            {"shades": (), "ending": "format_error", "error": "cut_off", "answer": None},
            "cut_off; allow it more with --sampling.max-turn-tokens); there is no picture.",
        ),
        (
            {"ending": "out_of_rounds", "answer": None},
            "The agent would have drawn again, but its rounds were used up",
        ),
    ],
)
def test_a_page_says_how_it_ended(story, words):
    assert words in Parsed(request_page(answered(**story), ABOUT)).text


def test_the_index_links_to_every_page_and_names_who_has_no_picture():
    row = {"rounds": [{}], "seconds": 1.0}
    rows = [
        row | {"prompt": HOSTILE, "page": "a b/page.html", "picture": "a b/picture-1.png"},
        row | {"prompt": "two", "page": "图/page.html", "picture": None},
    ]
    parsed = Parsed(index_page(rows, ABOUT))
    assert [a["href"] for a in parsed.all("a")] == ["a%20b/page.html", "%E5%9B%BE/page.html"]
    assert [i["src"] for i in parsed.all("img")] == ["a%20b/picture-1.png"]
    assert "1 with a picture, 1 without." in parsed.text
    assert not parsed.all("script")
