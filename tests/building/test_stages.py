"""Stages of a build that are killed go on."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image
from tests.data.synthesis_cast import files

from genagent_building.stages import records_stage
from genagent_data import RecordFolder
from genagent_miniworld import load_tool, weights

SHIPPED = weights("flux-mini")


class Mortal:
    """flux-mini, which dies after so many batches."""

    def __init__(self, batches: int) -> None:
        self.left = batches
        self.drawn = 0
        self._tool = load_tool("flux-mini")

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
        self.left -= 1
        if self.left < 0:
            raise SystemError("killed")
        self.drawn += 1
        return self._tool.generate(prompts, seeds)


@pytest.mark.slow
def test_records_that_were_interrupted_are_gone_on_with(tmp_path: Path):
    unbroken = Mortal(99)
    records_stage(tmp_path, 24, unbroken, drawn_by=SHIPPED, seed=0)
    work = tmp_path / "torn"
    work.mkdir()
    with pytest.raises(SystemError):
        records_stage(work, 24, Mortal(3), drawn_by=SHIPPED, seed=0)
    later = Mortal(99)
    records_stage(work, 24, later, drawn_by=SHIPPED, seed=0)
    assert later.drawn == unbroken.drawn - 3 > 0
    assert files(work / "synthesized") == files(tmp_path / "synthesized")
    assert len(RecordFolder(work / "synthesized")) > 0
    assert not (work / "synthesized.partial").exists()


def test_records_begun_with_other_weights_are_not_gone_on_with(tmp_path: Path):
    with pytest.raises(SystemError):
        records_stage(tmp_path, 8, Mortal(1), drawn_by=SHIPPED, seed=0)
    other = tmp_path / "other"
    other.mkdir()
    (other / "model.safetensors").write_bytes(b"others")
    with pytest.raises(ValueError, match=r"synthesized.partial was begun with tool 'flux-mini@"):
        records_stage(tmp_path, 8, Mortal(1), drawn_by=other, seed=0)
