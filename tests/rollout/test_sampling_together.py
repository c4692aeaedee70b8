"""Two processes that sample and learn together, as torchrun starts them."""

import json
from pathlib import Path

import pytest
from tests.launching import launch
from tests.rollout.sampling_together import sample

from genagent_policy import ALONE


@pytest.mark.slow
def test_ranks_sample_what_one_samples_and_engines_follow_the_update(
    tiny_policy_path: Path, tmp_path: Path
):
    script = "tests.rollout.sampling_together"
    done = launch(2, "-m", script, str(tiny_policy_path), str(tmp_path))
    assert done.returncode == 0, done.stderr
    found = [json.loads((tmp_path / f"rank-{rank}.json").read_text()) for rank in range(2)]
    for one in found:
        assert one["counted"] == {"judge/asked": 7.0, "judge/absent": 0.0, "judge/unparsed": 1.0}
    first, second = (one["sampled"] for one in found)
    alone = json.loads(json.dumps(sample(tiny_policy_path, ALONE, tmp_path)))
    for name in ("turns", "requests"):
        assert first[name] == second[name] == alone[name]
    # Each attempt is made by one rank, and all attempts at a request by the same one.
    assert sorted(first["here"] + second["here"]) == list(range(18))
    for ranks in (first, second):
        assert ranks["here"] == ranks["own"]
        assert all(ranks["here"].count(3 * (place // 3)) for place in ranks["here"])
    for zero in ("2", "3"):
        one = found[0][zero]
        assert one["after"] == one["saved"] == found[1][zero]["after"]
        assert one["after"] != one["before"]
    # Under ZeRO 2 the engine reads the storage that the optimizer writes.
    assert found[0]["2"]["elsewhere"] == []
    assert found[0]["2"]["stayed"]
