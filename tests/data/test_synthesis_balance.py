"""Which records are too many, and what gives a trajectory away."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genagent_data import Request
from genagent_data.synthesis import Call, Judgement
from genagent_data.synthesis.balance import balance
from genagent_data.synthesis.draft import Draft
from genagent_data.synthesis.mentions import HINT, RULES, concludes, mentioned


def draft(id: str, task: str, *, finished: bool) -> Draft:
    judgements = (Judgement(words="w", right=finished),)
    calls = (Call(thinking="t", prompt="p"),) * (1 if finished else 3)
    request = Request(id=id, prompt="p", task=task)
    return Draft(request=request, calls=calls, judgements=judgements)


def drafts(**tasks: tuple[int, int]) -> list[Draft]:
    """Finished and unfinished ones by task."""
    return [
        draft(f"{task}-{kind}-{n}", task, finished=kind == 0)
        for task, counts in tasks.items()
        for kind in (0, 1)
        for n in range(counts[kind])
    ]


def kept(given: list[Draft], **options) -> Counter:
    dropped = balance(given, seed=0, **options).dropped
    return Counter(d.request.id[:-2] for d in given if d.request.id not in dropped)


def test_a_set_share_does_not_end_in_an_answer():
    given = drafts(a=(9, 9), b=(9, 0))
    assert kept(given, unfinished=0.1, task_ratio=9) == {"a-0": 9, "a-1": 1, "b-0": 9}
    assert kept(given, unfinished=0.5, task_ratio=9) == {"a-0": 9, "a-1": 9, "b-0": 9}
    assert kept(given, unfinished=0.0, task_ratio=9) == {"a-0": 9, "b-0": 9}


def test_what_is_missing_of_the_share_is_said_by_task():
    given = drafts(a=(9, 9), b=(9, 0), c=(5, 1))
    assert balance(given, unfinished=0.5, task_ratio=9, seed=0).short == {"b": 9, "c": 4}
    assert balance(given, unfinished=0.1, task_ratio=9, seed=0).short == {"b": 1}
    # Six of b are kept, three of which should be without an answer.
    assert balance(given, unfinished=0.5, task_ratio=0.7, seed=0).short == {"b": 3, "c": 4}


def test_no_task_outweighs_the_median_one():
    given = drafts(a=(9, 0), b=(4, 0), c=(2, 0))
    dropped = balance(given, unfinished=0.1, task_ratio=1.5, seed=0).dropped
    assert Counter(dropped.values()) == {"surplus_task": 3}
    assert kept(given, unfinished=0.1, task_ratio=1.5) == {"a-0": 6, "b-0": 4, "c-0": 2}


def test_who_is_kept_depends_on_the_seed_and_not_on_the_order():
    given = drafts(a=(9, 0), b=(2, 0))
    options = {"unfinished": 0.1, "task_ratio": 1.0}
    chosen = [set(balance(given, seed=seed, **options).dropped) for seed in range(3)]
    assert chosen[0] == set(balance(given[::-1], seed=0, **options).dropped)
    assert chosen[0] != chosen[1] or chosen[1] != chosen[2]


@given(
    counts=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=4),
    unfinished=st.floats(0, 0.9),
    ratio=st.floats(0.1, 3),
)
def test_every_task_that_has_answers_keeps_one_and_shares_hold(counts, unfinished, ratio):
    tasks = {f"t{n}": pair for n, pair in enumerate(counts)}
    left = kept(drafts(**tasks), unfinished=unfinished, task_ratio=ratio)
    for task, (finished, _) in tasks.items():
        answered, loose = left[f"{task}-0"], left[f"{task}-1"]
        assert answered + loose >= min(1, finished)
        # Never more loose ones than the share asks for, up to rounding and to what was there.
        if finished and answered == finished:
            assert loose <= unfinished * (answered + loose) + 1


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (HINT, "In the reference image the cat is grey."),
        (HINT, "As shown in the provided picture, add a hat"),
        (HINT, "the hint says so"),
        (HINT, "every line of the checklist"),
        (HINT, "unlike the target image"),
        (RULES, "Rule 4 forbids it"),
        (RULES, "according to the judging rules"),
        (RULES, "the criteria require two"),
    ],
)
def test_mentions(pattern, text):
    assert mentioned(pattern, text, request="a cat")


@pytest.mark.parametrize("text", ["a ruler 4 cm long", "the picture shows a hint of mint", "rules"])
def test_no_mentions(text):
    assert not mentioned(HINT, text, request="a cat")
    assert not mentioned(RULES, text, request="a cat")


def test_what_the_request_says_itself_is_no_mention():
    assert not mentioned(HINT, "a poster with a checklist", request="Draw a Checklist poster")
    assert mentioned(HINT, "the reference image", request="Draw a Checklist poster")


@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        ("A cat. It satisfies the request.", True),
        ("The picture meets all the conditions.", True),
        ("A cat. It does not match the request.", False),
        ("It only partly meets the request.", False),
        ("It satisfies the request. But one cat is missing.", False),
        ("It satisfies the request and nothing is missing.", True),
        ("No detail is wrong, so the picture matches the request.", True),
        ("None of the three is missing: it meets all the conditions.", True),
        ("Nothing in it is wrong.", None),
        ("No, the hat is missing.", False),
        ("There is no dog and a cat is missing.", False),
        ("Nothing else is in it, but the cat is missing.", False),
        ("It needs a second cat to match the prompt.", None),
        ("With a red hat it would satisfy the request.", None),
        ("It fails to satisfy the request.", False),
        ("With no second cat it does not match the request.", False),
        ("No hat means it does not match the request.", False),
        ("The image has no dog which is wrong.", False),
        ("2 cats 1 no. nothing else 0 yes. bad", None),
    ],
)
def test_conclusions(words, verdict):
    assert concludes(words) is verdict
