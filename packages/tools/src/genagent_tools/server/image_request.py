"""A request for pictures: OpenAI's fields, and the extensions that vLLM-Omni and SGLang use too."""

import re
import secrets
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from genagent_tools.server.errors import ApiError
from genagent_tools.server.served_model import ServedModel
from genagent_tools.tool import DrawSettings

MAX_SEED = 2**63 - 1
_SIZE = re.compile(r"([1-9]\d{0,4})x([1-9]\d{0,4})")
_DRAWING = ("num_inference_steps", "guidance_scale", "true_cfg_scale", "negative_prompt")
_Scale = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]


class ImageRequest(BaseModel):
    """The body of ``POST /v1/images/generations``; fields not listed are ignored."""

    model_config = ConfigDict(extra="allow", strict=True)

    prompt: str = Field(min_length=1, description="What to draw.")
    model: str | None = Field(None, description="The served model's name, or absent.")
    n: Annotated[int, Field(ge=1, le=10)] | None = Field(None, description="Pictures; 1.")
    size: str | None = Field(None, description='"WxH" in pixels, or "auto".')
    response_format: str | None = Field(None, description='"b64_json" and nothing else.')
    output_format: str | None = Field(None, description='"png" and nothing else.')
    stream: bool | None = Field(None, description="Not supported; false or absent.")
    user: str | None = Field(None, description="Ignored.")
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] | None = Field(
        None, description="Of the first picture; the next has the next seed. Drawn if absent."
    )
    negative_prompt: str | None = Field(None, description="What to keep out.")
    num_inference_steps: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Denoising steps."
    )
    guidance_scale: _Scale | None = Field(None, description="Guidance of a distilled model.")
    true_cfg_scale: _Scale | None = Field(None, description="Classifier-free guidance.")
    rounds: bool | None = Field(
        None, description="Of an agent: all its rounds beside the last picture."
    )

    def seeds(self) -> list[int]:
        """One for each picture."""
        first = secrets.randbelow(2**31) if self.seed is None else self.seed
        return [(first + index) % (MAX_SEED + 1) for index in range(self.n or 1)]


class ImageData(BaseModel):
    """One picture; an agent's has fields of its own besides."""

    model_config = ConfigDict(extra="allow")

    b64_json: str
    url: None
    revised_prompt: str | None = Field(description="Of an agent: its last prompt.")
    seed: int


class ImageAnswer(BaseModel):
    """Pictures in the order of their seeds."""

    created: int
    data: list[ImageData]
    model: str
    size: str
    output_format: str


def read_settings(request: ImageRequest, served: ServedModel) -> DrawSettings:
    """How to draw what is asked for; defaults, spelled out or not, give equal settings.

    Raises:
        ApiError: what the model or this server does not do (400, or 404 for another model).
    """
    if request.model not in (None, served.name):
        raise ApiError(
            404,
            f"no model {request.model!r:.80}; this server has {served.name!r}",
            param="model",
            code="model_not_found",
        )
    for name, only in (("response_format", "b64_json"), ("output_format", "png")):
        if getattr(request, name) not in (None, only):
            raise _refused(name, f"{name} {getattr(request, name)!r:.40}; ask for {only!r}")
    if request.stream:
        raise _refused("stream", "pictures are not streamed; leave stream out")
    for name in ("prompt", "negative_prompt"):
        length = len(getattr(request, name) or "")
        if length > served.max_prompt:
            limit = f"{served.max_prompt} characters at most"
            raise _refused(name, f"{name} has {length} characters; {limit}")
    width, height = _read_size(request, served)
    guidance = None
    for name in (*_DRAWING, "rounds"):
        if getattr(request, name) is not None and name not in served.extensions:
            raise _refused(name, f"{served.name} does not know {name}; leave it out")
        if name.endswith("_scale") and getattr(request, name) is not None:
            guidance = getattr(request, name)
    steps = request.num_inference_steps
    if steps is not None and steps > served.max_steps:
        raise _refused("num_inference_steps", f"{steps} steps; {served.max_steps} at most")
    settings = DrawSettings(
        width=None if width == served.width else width,
        height=None if height == served.height else height,
        steps=None if steps == served.steps else steps,
        guidance=None if guidance == served.guidance else guidance,
        negative_prompt=request.negative_prompt,
    )
    if served.check is not None:
        try:
            served.check(settings)
        except ValueError as error:
            raise ApiError(400, str(error), code="invalid_value") from error
    return settings


def _read_size(request: ImageRequest, served: ServedModel) -> tuple[int | None, int | None]:
    width, height = served.width, served.height
    if width is None or height is None:
        if request.size not in (None, "auto"):
            raise _refused("size", f"{served.name} draws as its tool does; leave size out")
        return None, None
    if request.size not in (None, "auto"):
        found = _SIZE.fullmatch(request.size)
        if found is None:
            wanted = f'"{width}x{height}" for instance, or "auto"'
            raise _refused("size", f"size {request.size!r:.40} cannot be read; wants {wanted}")
        asked = int(found[1]), int(found[2])
        if asked != (width, height) and "size" not in served.extensions:
            raise _refused("size", f"{served.name} draws {width}x{height} only; leave size out")
        width, height = asked
        if width % served.size_multiple or height % served.size_multiple:
            wanted = f"wants multiples of {served.size_multiple}"
            raise _refused("size", f"size {request.size}; {wanted}")
    pixels = (request.n or 1) * width * height
    if pixels > served.pixel_limit:
        message = f"{request.n or 1} of {width}x{height} are {pixels} pixels"
        raise _refused("size", f"{message}; {served.pixel_limit} at most in one request")
    return width, height


def _refused(param: str, message: str) -> ApiError:
    return ApiError(400, message, param=param, code="invalid_value")
