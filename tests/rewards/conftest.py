"""A judge that rewards' own dependencies can build."""

from pathlib import Path

import pytest
from tests.tiny_qwen import save_tiny_qwen

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% for part in message.content %}{% if part.type == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part.text }}{% endif %}{% endfor %}"
    "<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="session")
def tiny_judge_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved, random Qwen2.5-VL over bytes."""
    path = tmp_path_factory.mktemp("tiny") / "judge"
    return save_tiny_qwen(path, seed=7, chat_template=CHAT_TEMPLATE)
