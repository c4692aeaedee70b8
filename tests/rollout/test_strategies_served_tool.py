"""A unified model behind OpenAI's images API: no seed, base64 only."""

import logging
from pathlib import Path

import pytest
from PIL import Image
from tests.picture_server import Answer, answering, as_base64, picture_answer

from genagent_data import PictureStore, Request
from genagent_rollout import BestOfN, answer_all
from genagent_worlds import FilesAndEndpoints


def strict(body, number: int) -> Answer:
    """Refuses whatever OpenAI's API does not know, as GPT-4o's does; draws something else each
    time."""
    foreign = set(body) - {"prompt", "n", "model"}
    if foreign:
        message = f'{{"error": {{"message": "Unknown parameter: {min(foreign)}"}}}}'
        return Answer(status=400, body=message.encode())
    color = ["red", "green", "blue"][number]
    return picture_answer("", 0, b64_json=as_base64(Image.new("RGB", (16, 16), color)))


def test_any_model_behind_an_images_endpoint_can_be_the_tool(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    request = Request(id="cats", prompt="two cats")
    with answering(strict) as server:
        world = FilesAndEndpoints(tool=server.url, tool_dialect="openai", tool_model="gpt-image-1")
        with caplog.at_level(logging.WARNING, logger="genagent_worlds"):
            tool = world.open_tool()
        [done] = answer_all(BestOfN(3), tool, [request], seeds=[5], store=PictureStore(tmp_path))
        assert [body["model"] for body in server.requests] == ["gpt-image-1"] * 3
        assert [body["prompt"] for body in server.requests] == ["two cats"] * 3
    # The three are asked for at once: whichever comes first is answered first.
    colors = {picture.image.getpixel((0, 0)) for picture in done.trajectory.pictures}
    assert colors == {(255, 0, 0), (0, 128, 0), (0, 0, 255)}
    [said] = [record.getMessage() for record in caplog.records]
    assert "dialect openai take no seed" in said
