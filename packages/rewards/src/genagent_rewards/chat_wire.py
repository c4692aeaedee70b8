"""Chat completions on the wire: messages with pictures out, words or the reason for none back."""

import base64
import io
from typing import Any

from PIL import Image

from genagent_endpoints import Answer, Lost
from genagent_rewards.chat import ChatRequest

_PNG_MODES = ("1", "L", "RGB", "RGBA")


def messages(request: ChatRequest) -> list[dict[str, object]]:
    """The request as chat messages, pictures as PNG data URLs."""
    content = [
        {"type": "text", "text": part}
        if isinstance(part, str)
        else {"type": "image_url", "image_url": {"url": data_url(part)}}
        for part in request.parts
    ]
    turn: dict[str, object] = {"role": "user", "content": content}
    return [{"role": "system", "content": request.system}, turn] if request.system else [turn]


def data_url(picture: Image.Image) -> str:
    """Lossless, so that a model sees the pixels that were drawn."""
    if picture.mode not in _PNG_MODES:
        picture = picture.convert("RGB")
    buffer = io.BytesIO()
    # Level 1 is several times faster than the default and a tenth larger.
    picture.save(buffer, format="PNG", compress_level=1)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def pixels(request: ChatRequest) -> int:
    """Of all its pictures together."""
    return sum(part.width * part.height for part in request.parts if not isinstance(part, str))


def read_completion(answer: Answer) -> tuple[str, str]:
    """The first choice's words and its finish reason; no words (a refusal) are "".

    Raises:
        Lost: it is no chat completion.
    """
    said: Any = answer.json()
    try:
        choice = said["choices"][0]
        content, reason = choice["message"].get("content"), choice.get("finish_reason")
    except (LookupError, TypeError, AttributeError) as error:
        raise Lost(f"no chat completion but {answer.quote(said, 120)!r}") from error
    if content is not None and not isinstance(content, str):
        raise Lost(f"the reply is {type(content).__name__}, not text")
    return content or "", str(reason or "")
