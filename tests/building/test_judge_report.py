"""How the judge's agreement with the verifier is counted, and how good judge-mini is on pictures it
has never seen."""

import random

import pytest

from genagent_building.judge_cases import Case, drawn_cases
from genagent_building.judge_report import judge_figures, measure
from genagent_data import Request
from genagent_miniworld import TOOLS, Item, load_judge, load_tool, read, render
from genagent_rewards import ChatReply

HINTS = ("exactly 1 red circle", "nothing else")
GOOD = render((Item(place=4, color="red", shape="circle", size="large"),), seed=1)
BAD = render((Item(place=4, color="blue", shape="circle", size="large"),), seed=2)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(TOOLS))
def test_judge_mini_agrees_with_the_verifier_on_pictures_it_has_not_seen(name):
    # The table beside the weights has the agreement to a point; this is a guard against damage.
    cases = drawn_cases(60, load_tool(name), seed=random.Random(name).getrandbits(20))
    found = measure(load_judge(), cases)
    assert sum(found.point) / len(found.point) > 0.9
    assert sum(found.pair) / len(found.pair) > 0.85
    assert found.absent <= 2


class YesToEverything:
    """A chat model that passes every picture and prefers whatever comes first."""

    name = "yes"

    def reply(self, requests, *, accept, arrived=None):
        texts = [
            f"fine\n<verdict>{'first' if len(pictures(request)) == 2 else 'yes'}</verdict>"
            for request in requests
        ]
        assert all(map(accept, texts))
        return [ChatReply(text=text, attempts=1, model="yes", raw=text) for text in texts]


def pictures(request):
    return [part for part in request.parts if not isinstance(part, str)]


def test_agreement_counts_each_picture_once_and_each_pair_in_both_orders():
    request = Request(id="1", prompt="a red circle", task="color", hints=HINTS)
    cases = [
        Case(request=request, pictures=pair, readings=(read(pair[0]), read(pair[1])))
        for pair in ((GOOD, BAD), (BAD, BAD))
    ]
    found = measure(YesToEverything(), cases)
    assert found.point == (True, False, False, False)
    assert found.pair == (True, False, False, False)  # two equal ones are a tie
    assert (found.leaning, found.equal, found.absent) == (1.0, 2, 0)
    rows = judge_figures(YesToEverything(), cases, drawn_by="hand")
    assert [(row.rate.hits, row.rate.trials) for row in rows] == [(1, 4), (1, 4), (4, 4)]
    assert all(row.what.endswith("pictures by hand") for row in rows)
