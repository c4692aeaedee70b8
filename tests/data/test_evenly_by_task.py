"""A part of a benchmark's requests has all of its tasks in it."""

from hypothesis import given
from hypothesis import strategies as st

from genagent_data import Request, evenly_by_task


def asked(tasks: str) -> list[Request]:
    return [Request(id=str(place), prompt="x", task=task) for place, task in enumerate(tasks)]


def test_requests_that_are_sorted_by_task_are_taken_in_turn():
    sorted_by_task = asked("aaaabbbbcc")
    assert [one.id for one in evenly_by_task(sorted_by_task, 4)] == ["0", "1", "4", "8"]
    assert [one.id for one in evenly_by_task(sorted_by_task, 7)] == [*"01245", "8", "9"]
    assert evenly_by_task(sorted_by_task, 50) == sorted_by_task


@given(tasks=st.text("abc", max_size=30), n=st.integers(1, 40))
def test_no_task_has_two_more_than_another_that_has_some_left(tasks: str, n: int):
    requests = asked(tasks)
    part = evenly_by_task(requests, n)
    assert len(part) == min(n, len(requests))
    assert part == [request for request in requests if request in part]
    counts = {task: sum(one.task == task for one in part) for task in tasks}
    left = {task for task in tasks if counts[task] < tasks.count(task)}
    assert all(counts[other] - counts[task] <= 1 for task in left for other in counts)


@given(tasks=st.permutations("abc"), rounds=st.integers(1, 5), n=st.integers(1, 15))
def test_of_tasks_that_come_in_turn_it_is_the_first_ones(tasks: list[str], rounds: int, n: int):
    requests = asked("".join(tasks) * rounds)
    assert evenly_by_task(requests, n) == requests[:n]
