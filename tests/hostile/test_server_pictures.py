"""Behind the door: one picture costs no other one, and requests together no more than one may."""

from concurrent.futures import ThreadPoolExecutor

from tests.hostile.knocking import is_well
from tests.tools.painting import SERVED, Painter, ask, paint, pictures, serving

from genagent_tools import BatchConfig


def test_a_pipeline_that_wants_to_exit_costs_its_picture():
    class Exits(Painter):
        def draw(self, prompts, seeds, settings):
            if any(prompt.startswith("exit") for prompt in prompts):
                raise SystemExit("enough \x1b[2J")
            return super().draw(prompts, seeds, settings)

    with serving(Exits(), batching=BatchConfig(max_batch=4, max_wait_ms=50.0)) as url:
        with ThreadPoolExecutor(3) as pool:
            answers = list(pool.map(lambda p: ask(url, prompt=p, seed=3), ["one", "exit", "two"]))
        assert [answer.status_code for answer in answers] == [200, 500, 200]
        assert "SystemExit: enough" in answers[1].json()["error"]["message"]
        assert is_well(url)
        assert pictures(ask(url, seed=4)) == [paint("a circle", 4).tobytes()]


def test_requests_together_are_no_larger_than_one_may_be():
    painter = Painter()
    batching = BatchConfig(max_batch=64, max_wait_ms=300.0)
    with serving(painter, batching=batching) as url, ThreadPoolExecutor(6) as pool:
        ask(url)
        large = [pool.submit(ask, url, size="2048x1024", seed=seed) for seed in range(5)]
        assert all(one.result(60).status_code == 200 for one in large)
    sizes = [len(prompts) for prompts, look in painter.batches if look.width == 2048]
    # 4 MiB of pixels are two of these.
    assert sum(sizes) == 5 and max(sizes) == 2
    assert SERVED.pixel_limit == 4 << 20
