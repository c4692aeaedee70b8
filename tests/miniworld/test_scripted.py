"""The scripted teacher as synthesis asks it: prompts that are never the request again."""

from hypothesis import given, settings
from hypothesis import strategies as st

from genagent_data import Request
from genagent_data.synthesis import Call, PartialTrajectory
from genagent_miniworld import Item, ScriptedTeacher, render, sample_requests
from genagent_miniworld.scripted import ENDING, WORDS
from genagent_rewards import Picture


def distance(one: str, other: str) -> int:
    """Of words, by edits."""
    a, b = one.split(), other.split()
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        new = [i]
        for j, y in enumerate(b, start=1):
            new.append(min(row[j] + 1, new[-1] + 1, row[j - 1] + (x != y)))
        row = new
    return row[-1]


@settings(max_examples=10)
@given(seed=st.integers(0, 10**6), explicit=st.sampled_from([0.0, 0.3, 1.0]))
def test_first_prompts_are_five_words_away_and_fit(seed, explicit):
    requests = sample_requests(45, seed=seed, split="train")
    calls = ScriptedTeacher(explicit_first=explicit).open(requests)
    for request, call in zip(requests, calls, strict=True):
        assert isinstance(call, Call)
        assert distance(call.prompt, request.prompt) > 5, (request.prompt, call.prompt)
        assert len(call.prompt.split()) <= WORDS


def test_explicit_prompts_say_where_and_others_do_not():
    [request] = sample_requests(1, seed=0, split="train", tasks=("color/count",))
    places = ("top", "left", "right", "bottom", "center")

    def opened(explicit: float) -> str:
        [call] = ScriptedTeacher(explicit_first=explicit).open([request])
        assert isinstance(call, Call)
        return call.prompt

    assert any(place in opened(1.0) for place in places)
    assert not any(place in opened(0.0) for place in places)


def test_a_later_prompt_is_another_one_and_the_judgement_is_true():
    request = Request(id="r", prompt="2 red circles", hints=("exactly 2 red circles",))

    def drawn(count: int) -> Picture:
        items = [Item(place=n, color="red", shape="circle", size="large") for n in range(count)]
        return Picture.of(render(items))

    teacher = ScriptedTeacher(explicit_first=0.0, explicit_later=0.0)
    calls: tuple[Call, ...] = ()
    for _ in range(3):
        attempt = PartialTrajectory(request=request, calls=calls, pictures=(drawn(1),))
        [call] = teacher.reflect([attempt]) if calls else teacher.open([request])
        assert isinstance(call, Call) and call.prompt not in [c.prompt for c in calls]
        calls = (*calls, call)
    one, two = teacher.judge(
        [PartialTrajectory(request=request, calls=calls[:1], pictures=(drawn(n),)) for n in (1, 2)]
    )
    assert (one.right, two.right) == (False, True)  # pyright: ignore[reportAttributeAccessIssue]


def test_what_it_says_does_not_depend_on_who_is_asked_beside():
    requests = sample_requests(12, seed=3, split="train")
    teacher = ScriptedTeacher()
    assert teacher.open(requests)[7] == teacher.open(requests[7:8])[0]
    assert teacher.open(requests) != ScriptedTeacher(seed=1).open(requests)
    assert ENDING.strip(", ") == "exactly the picture i want"
