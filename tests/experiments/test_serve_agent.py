"""The service as people run it: the miniature in a process of its own, asked by programs and by a
person with a browser, told to stop."""

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest
from tests.browser import browsing
from tests.experiments.running import only_run, start, summary_of
from tests.serving.agents import serving
from tests.serving.browser import draw

from genagent_data import PictureStore
from genagent_miniworld import Miniature, sample_requests
from genagent_policy import Policy
from genagent_rollout import LocalEngine, run_agents

GENERATIONS = "/v1/images/generations"
REQUEST = "as many squares as a triangle has sides, in the color of a ripe lemon"


@contextmanager
def served(folder, *options):
    """The process and its URL, once it says that it listens."""
    process = start("serve_agent.py", folder, "--port", "0", *options)
    try:
        assert process.stdout is not None
        # Before it stands what it waits for; a process that has ended says no more lines.
        line = next((line for line in process.stdout if "http://" in line), None)
        assert line is not None, process.stderr and process.stderr.read()
        yield process, line.split()[3].rstrip(",").removesuffix("/v1")
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_programs_and_a_person_are_answered_and_a_signal_finishes_what_is_in_progress(tmp_path):
    with served(tmp_path) as (process, url), browsing() as page:
        draw(page, url, REQUEST, seed=0)
        page.wait_for_selector("#best label")
        page.click("#up")
        page.wait_for_selector("#kept :text('thumb up is kept')")
        with ThreadPoolExecutor(8) as pool:
            asked = [
                pool.submit(
                    httpx.post,
                    url + GENERATIONS,
                    json={"prompt": "three red circles", "seed": seed, "rounds": True},
                    timeout=300,
                )
                for seed in range(8)
            ]
            while httpx.get(url + "/metrics").text.count("in_progress 8.0") == 0:
                assert not any(answer.done() for answer in asked)
                time.sleep(0.01)
            process.send_signal(signal.SIGTERM)
            while httpx.get(url + "/healthz").json()["status"] != "draining":
                time.sleep(0.01)
            late = httpx.post(url + GENERATIONS, json={"prompt": "x"})
            answers = [answer.result() for answer in asked]
        output, errors = process.communicate(timeout=60)
    assert (process.returncode, late.status_code, errors) == (0, 503, "")
    assert [answer.status_code for answer in answers] == [200] * 8
    for answer in answers:
        [entry] = answer.json()["data"]
        assert "red circle" in entry["revised_prompt"]
        assert entry["rounds"][-1]["prompt"] == entry["revised_prompt"]
    summary, folder = summary_of(output, tmp_path)
    assert (summary["answered"], summary["ended/answer"] >= 1) == (8, True)
    assert len((folder / "feedback.jsonl").read_text().splitlines()) == 1
    client, logged = only_run(tmp_path, "serve_agent")
    [trace] = client.search_traces(locations=[logged.info.experiment_id])
    assert trace.info.request_preview == REQUEST
    found = {
        a.name: (a.feedback and a.feedback.value, a.source.source_type)
        for a in trace.info.assessments
    }
    assert found["person thumb up"] == (True, "HUMAN")


@pytest.mark.slow
def test_sixteen_clients_at_once_get_what_the_agent_gives_each(tmp_path):
    world = Miniature()
    tool, policy = world.open_tool(), Policy.load(world.policies["sft"])
    requests = sample_requests(16, seed=3, split="held-out")
    direct = run_agents(
        LocalEngine(policy),
        tool,
        requests,
        seeds=range(16),
        max_rounds=3,
        store=PictureStore(tmp_path / "direct"),
    )

    def ask(place):
        return served.ask(prompt=requests[place].prompt, seed=place, rounds=True).json()

    with (
        serving(LocalEngine(policy), tool, tmp_path / "served", max_rounds=3) as served,
        ThreadPoolExecutor(16) as pool,
    ):
        ask(0)
        started = time.perf_counter()
        answers = list(pool.map(ask, range(16)))
        seconds = time.perf_counter() - started
    print(f"16 at once: {seconds:.1f} s served, {direct.timings.total:.1f} s by run_agents")
    same = 0
    for answer, rollout in zip(answers, direct.rollouts, strict=True):
        drawn = [round.tool_prompt for round in rollout.trajectory.rounds]
        if "data" in answer:
            same += [round["prompt"] for round in answer["data"][0]["rounds"]] == drawn
        else:
            same += not rollout.trajectory.pictures
    # Float noise from the company in a batch may turn a token of one or two; a mix-up all.
    assert same >= 14


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--host", "0.0.0.0"), "host 0.0.0.0 can be reached from other machines; give a token"),
        (("--token-env", "NOT_SET_ANYWHERE"), "the environment variable NOT_SET_ANYWHERE is not"),
        (("--port", "70000"), "port is 70000; wants 0 to 65535"),
        (("--max-rounds", "0"), "max_rounds is 0; wants 1 or more"),
        (("--world.tool", "flux-9step"), "no tool 'flux-9step'; give a URL"),
        (("--policy", "nobody"), "no policy 'nobody'; give base or sft"),
    ],
)
def test_bad_input_is_a_line_before_anything_loads(tmp_path, options, says):
    process = start("serve_agent.py", tmp_path, *options)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 2
    assert says in errors
    assert list(tmp_path.iterdir()) == []
