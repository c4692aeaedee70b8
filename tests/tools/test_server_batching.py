"""The queue's laws, with a painter that tells its pictures apart."""

import threading
import time
from concurrent.futures import CancelledError, ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tools.painting import PLAIN, Painter, paint, pixels_of

from genagent_tools import BatchConfig, DrawSettings, ToolError
from genagent_tools.server.batch_queue import BatchQueue, Job, QueueFull
from genagent_tools.server.metrics import ServerMetrics
from genagent_tools.server.workers import Workers

LOOKS = (PLAIN, DrawSettings(steps=2), DrawSettings(width=32, height=16))


def jobs(prompt, seeds, look=PLAIN):
    return [Job(prompt=prompt, seed=seed, settings=look) for seed in seeds]


def names(batch):
    return [f"{job.prompt}{job.seed}" for job in batch]


def patient(**changes):
    """A queue whose lines are ready only when full, or once it is closed."""
    return BatchQueue(BatchConfig(**{"max_batch": 4, "max_wait_ms": 60_000.0, **changes}))


@settings(deadline=None, max_examples=40)
@given(
    requests=st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "bad", "strange"]),
            st.integers(0, 2**63 - 1),
            st.integers(1, 4),
            st.sampled_from(LOOKS),
            st.booleans(),
        ),
        max_size=20,
    ),
    max_batch=st.integers(1, 9),
    max_wait_ms=st.sampled_from([0.0, 1.0]),
    workers=st.integers(1, 3),
)
def test_every_request_gets_its_own_pictures_whatever_it_is_drawn_with(
    requests, max_batch, max_wait_ms, workers
):
    queue = BatchQueue(BatchConfig(max_batch=max_batch, max_wait_ms=max_wait_ms))
    painters = [Painter() for _ in range(workers)]
    drawing = Workers(queue, painters, ServerMetrics())
    drawing.start()
    asked = []
    for prompt, seed, count, look, pausing in requests:
        asked.append(jobs(prompt, range(seed, seed + count), look))
        queue.put(asked[-1])
        if pausing:
            time.sleep(0.0005)
    queue.close()
    drawing.join(30)
    for request in asked:
        for job in request:
            if job.prompt in ("bad", "strange"):
                assert isinstance(job.picture.exception(10), ToolError)
            else:
                expected = paint(job.prompt, job.seed, job.settings)
                assert pixels_of(job.picture.result(10)) == expected.tobytes()
    for painter in painters:
        assert all(len(prompts) <= max_batch for prompts, _ in painter.batches)
        assert len(painter.callers) <= 1
    assert len(queue) == 0


def test_a_full_line_is_taken_at_once_and_in_order_of_arrival():
    queue = patient()
    queue.put(jobs("a", range(3)))
    queue.put(jobs("b", range(3)))
    assert names(queue.take()) == ["a0", "a1", "a2", "b0"]
    queue.close()
    assert names(queue.take()) == ["b1", "b2"]
    assert queue.take() == []


def test_a_lone_picture_waits_for_company_and_no_longer():
    queue = patient(max_wait_ms=80.0)
    queue.put(jobs("a", [0]))
    late = threading.Timer(0.02, lambda: queue.put(jobs("b", [0])))
    started = time.monotonic()
    late.start()
    assert names(queue.take()) == ["a0", "b0"]
    assert 0.07 <= time.monotonic() - started < 20


def test_settings_do_not_mix_and_the_longest_waiting_go_first():
    queue = patient(max_wait_ms=0.0, max_batch=2)
    for seed in range(3):
        queue.put(jobs("a", [seed]))
    queue.put(jobs("b", [0], LOOKS[1]))
    queue.put(jobs("a", [3]))
    queue.put(jobs("c", [0], LOOKS[2]))
    taken = [names(queue.take()) for _ in range(4)]
    assert taken == [["a0", "a1"], ["a2", "a3"], ["b0"], ["c0"]]


def test_a_stream_of_full_batches_does_not_starve_other_settings():
    queue = patient(max_wait_ms=0.0, max_batch=2)
    queue.put(jobs("busy", [0, 1]))
    queue.put(jobs("lonely", [0], LOOKS[1]))
    order = []
    for turn in range(3):
        queue.put(jobs("busy", [2 * turn + 2, 2 * turn + 3]))
        order.append(names(queue.take())[0])
    assert order == ["busy0", "lonely0", "busy2"]


def test_a_full_line_does_not_wait_for_a_partial_one_before_it():
    queue = patient()
    queue.put(jobs("early", [0], LOOKS[1]))
    queue.put(jobs("full", range(4)))
    assert names(queue.take()) == ["full0", "full1", "full2", "full3"]


def test_the_bound_counts_pictures_and_takes_a_request_whole_or_not_at_all():
    queue = patient(max_queue=5)
    queue.put(jobs("a", range(3)))
    with pytest.raises(QueueFull, match="3 pictures are waiting, 5 may"):
        queue.put(jobs("b", range(3)))
    assert len(queue) == 3
    queue.put(jobs("c", range(2)))
    assert len(queue) == 5


def test_dropped_pictures_are_neither_drawn_nor_counted():
    queue = patient()
    given_up, kept = jobs("a", range(2)), jobs("b", range(2))
    queue.put(given_up)
    queue.put(kept)
    queue.drop(given_up)
    queue.drop(given_up)
    assert len(queue) == 2
    with pytest.raises(CancelledError):
        given_up[0].picture.result(1)
    queue.close()
    assert names(queue.take()) == ["b0", "b1"]
    queue.drop(kept)
    assert not kept[0].picture.cancelled()


@pytest.mark.parametrize(
    ("field", "value"),
    [("max_batch", 0), ("max_wait_ms", -1.0), ("max_wait_ms", float("nan")), ("max_queue", 0)],
)
def test_impossible_limits_are_named(field, value):
    with pytest.raises(ValueError, match=f"{field} is {value}"):
        BatchConfig(**{field: value})


def test_a_picture_that_cannot_be_encoded_costs_only_itself():
    class Odd(Painter):
        def draw(self, prompts, seeds, settings):
            drawn = super().draw(prompts, seeds, settings)
            return [p.convert("F") if s % 4 == 0 else p for p, s in zip(drawn, seeds, strict=True)]

    queue = patient(max_batch=6)
    asked = jobs("a", range(6))
    queue.put(asked)
    Workers(queue, [Odd()], ServerMetrics()).start()
    for seed in (0, 4):
        with pytest.raises(OSError, match="cannot write mode F as PNG"):
            asked[seed].picture.result(60)
    for seed in (1, 2, 3, 5):
        assert pixels_of(asked[seed].picture.result(60)) == paint("a", seed).tobytes()
    queue.close()


@pytest.mark.parametrize(
    ("max_wait_ms", "count"),
    [
        (20.0, 1),  # its time is up
        (60_000.0, 4),  # the batch is full
    ],
)
def test_a_worker_that_waits_already_is_woken_in_time(max_wait_ms, count):
    queue = patient(max_wait_ms=max_wait_ms)
    arriving = jobs("a", range(count))
    with ThreadPoolExecutor(1) as pool:
        batch = pool.submit(queue.take)
        try:
            time.sleep(0.1)
            for job in arriving:
                queue.put([job])
                # Long enough for the worker to look and to go back to waiting.
                time.sleep(0.02)
            assert batch.result(20) == arriving
        finally:
            queue.close()
