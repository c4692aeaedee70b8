"""Records for tests: any that the protocol allows, and plain ones."""

from hypothesis import strategies as st
from PIL import Image

from genagent_data import Picture, Record, Request, Turn, parse_turn, render_turn

RED = Picture.of(Image.new("RGB", (3, 2), "red"))
BLUE = Picture.of(Image.new("RGB", (2, 3), "blue"))

CALL = render_turn(Turn(thinking="three circles", tool_prompt="three red circles"))
AGAIN = render_turn(Turn(judgement="two", thinking="one more", tool_prompt="3 red circles"))
DONE = render_turn(Turn(judgement="three", answer="done"))


def record(id: str = "r1", prompt: str = "three circles", rounds: int = 2, **more) -> Record:
    """Of so many rounds, and an answer."""
    return Record(
        request=Request(id=id, prompt=prompt, task="count", hints=("3 circles",)),
        turns=(CALL, *[AGAIN] * (rounds - 1), DONE),
        pictures=(RED, BLUE, RED)[:rounds],
        **more,
    )


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
inner = texts.filter(
    lambda text: (
        parse_turn(
            f"<judge>{text}</judge><answer>{text}</answer>", images_so_far=1, max_rounds=1
        ).error
        is None
    )
)
prompts = inner.filter(str.strip)
marked = st.sampled_from(["<image>", "a <image> b", "<|image|>", "é🔴\u2028<video>"])
pictures = st.builds(
    lambda size, colour: Picture.of(Image.new("RGB", size, colour)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(*[st.integers(0, 255)] * 3),
)


def _record(request, words, drawn, said, ends):
    turns = []
    for index in range(len(drawn) + 1):
        judgement, thinking, prompt, answer = said[index]
        judged = {"judgement": judgement} if index else {}
        if index == len(drawn) and index and ends:
            turns.append(render_turn(Turn(**judged, answer=answer)))
        else:
            turns.append(render_turn(Turn(**judged, thinking=thinking, tool_prompt=prompt)))
    return Record(request=request, turns=tuple(turns), pictures=tuple(drawn), words=words)


def records(words_said: st.SearchStrategy[str] = inner | marked) -> st.SearchStrategy[Record]:
    """Any record, of no picture up to three, whose texts are these."""
    asked = words_said.filter(str.strip)
    return st.builds(
        _record,
        request=st.builds(
            Request,
            id=texts,
            prompt=asked,
            task=texts,
            hints=st.lists(texts, max_size=2).map(tuple),
            reference=st.none() | texts,
        ),
        words=st.none() | st.integers(1, 400),
        drawn=st.lists(pictures, max_size=3),
        said=st.lists(st.tuples(words_said, words_said, asked, words_said), min_size=4, max_size=4),
        ends=st.booleans(),
    )


plain = inner.filter(lambda text: "<" not in text)
"""Texts that no placeholder of another trainer can be in."""


def pixels(given: Record) -> list[tuple]:
    return [(picture.image.size, picture.image.tobytes()) for picture in given.pictures]
