import io
from pathlib import Path

from PIL import Image
from rich.console import Console
from tests.serving.answers import answered

from genagent_data import Picture, Request, Round, Turn
from genagent_serving import LiveRounds, many_requests
from genagent_serving.live import blocks


def console(**options) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, highlight=False, width=60, **options), out


def lines(out: io.StringIO) -> list[str]:
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_rounds_are_shown_as_they_happen():
    screen, out = console()
    request = Request(id="r", prompt="two [red] circles\x1b[2J")
    rounds = LiveRounds(
        screen, request, max_rounds=1, path=lambda request, number, picture: Path(f"{number}.png")
    )
    assert lines(out) == ["request   two [red] circles␛[2J"]
    rounds.spoke(Turn(thinking="hm", tool_prompt="red circle"))
    assert lines(out)[1:] == ["think     hm", "prompt    red circle"]
    picture = Picture.of(Image.new("RGB", (4, 4)))
    rounds.drew(Round(thinking="hm", tool_prompt="red circle", picture=picture, tool_seconds=1.25))
    assert lines(out)[3:] == ["picture 1 1.png  (1.2 s)"]
    # A call when its rounds are used up is not drawn, and not shown as if it were.
    rounds.spoke(Turn(judgement="one missing", thinking="more", tool_prompt="red circles"))
    assert lines(out)[4:] == ["assess    one missing", "think     more"]
    rounds.ended(answered(ending="out_of_rounds", answer=None))
    assert " ".join(" ".join(lines(out)[6:]).split()) == (
        "end The agent would have drawn again, but its rounds were used up; the last picture "
        "counts. 2.0 s"
    )


def test_a_small_picture_is_two_pixels_a_character():
    image = Image.new("RGB", (1, 3))
    for y, shade in enumerate((10, 20, 30)):
        image.putpixel((0, y), (shade, 0, 0))
    shown = blocks(image)
    assert shown is not None and shown.plain == "▀\n▀"
    assert [str(span.style) for span in shown.spans] == [
        "rgb(10,0,0) on rgb(20,0,0)",
        "rgb(30,0,0)",
    ]
    assert blocks(Image.new("RGB", (1024, 1024))) is None


def test_a_line_for_each_that_ends_says_why_there_is_no_picture(tmp_path: Path):
    screen, out = console()
    row = {"id": "a\x1b[2J", "rounds": [{}], "seconds": 1.0, "ending": "answer", "error": None}
    with many_requests(screen, 5, done=3) as show:
        show(row | {"picture": "a/picture-1.png"}, Path("out"))
        failed = {"ending": "tool_failure", "error": "no\npaint", "picture": None, "rounds": []}
        show(row | failed, Path("out"))
    assert lines(out) == [
        "4/5  a␛[2J  1 round, 1.0 s  out/a/picture-1.png",
        "5/5  a␛[2J  0 rounds, 1.0 s  no picture (tool_failure: no paint)",
    ]
