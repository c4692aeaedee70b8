"""Requests that want a small sum, solved here once more from their words."""

import re

from genagent_miniworld.arithmetic import NUMBER, requests
from genagent_miniworld.conditions import parse_hints
from genagent_miniworld.grammar import TASKS

KNOWN = {
    "a bicycle has wheels": 2,
    "a person has eyes": 2,
    "a triangle has sides": 3,
    "a tricycle has wheels": 3,
    "a square has corners": 4,
    "a dog has legs": 4,
    "a hand has fingers": 5,
    "a starfish has arms": 5,
}
STEPS = {"one": 1, "two": 2, "three": 3}
FORM = re.compile(
    r"(twice )?as many (red|green|blue|yellow) (circle|square|triangle)s as (a \w+ has \w+)"
    r"(?:, (plus|minus) (\w+)| and (a \w+ has \w+) together)$"
)


def test_each_request_means_what_its_words_come_to():
    for request in requests():
        found = FORM.search(request.prompt)
        assert found, request.prompt
        twice, color, shape, first, sign, step, second = found.groups()
        number = KNOWN[first] * (2 if twice else 1)
        number += KNOWN[second] if second else STEPS[step] * (1 if sign == "plus" else -1)
        plural = "s" if number != 1 else ""
        assert request.hints == (f"exactly {number} {color} {shape}{plural}", "nothing else")
        assert parse_hints(request.hints).size == number


def test_they_are_many_the_same_each_time_and_of_no_task_that_is_trained():
    found = requests()
    assert found == requests()
    assert len({request.prompt for request in found}) == len(found) == NUMBER == 270
    assert {request.task for request in found} == {"arithmetic"}
    assert "arithmetic" not in TASKS
    # All forms and all results, none of them rare.
    assert sum("twice" in request.prompt for request in found) > 20
    assert {request.hints[0].split()[1] for request in found} == {"1", "2", "3", "4", "5"}
