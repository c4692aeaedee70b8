"""A picture or a failure for each prompt, whatever a tool hands back."""

from collections.abc import Sequence

from PIL import Image

from genagent_tools.tool import ImageTool, PartialFailure, ToolError

MAX_PIXELS = 64 * 1024**2
"""Of a picture from a tool; 64 times what FLUX draws."""
MAX_RATIO = 200
"""Of its longer to its shorter side; Qwen2.5-VL's image processor takes no picture beyond."""


def draw_each(
    tool: ImageTool, prompts: Sequence[str], seeds: Sequence[int]
) -> list[Image.Image | ToolError]:
    """The picture of each prompt, or why there is none, in order.

    A batch that fails as a whole is tried again one by one, so that a prompt loses no picture to
    another's failure.
    """
    try:
        results = _results(tool, prompts, seeds)
    except ToolError as error:
        if len(prompts) == 1:
            return [error]
        pairs = zip(prompts, seeds, strict=True)
        return [one for prompt, seed in pairs for one in draw_each(tool, [prompt], [seed])]
    return [_usable_or_error(result) for result in results]


def usable_picture(image: Image.Image) -> Image.Image:
    """The picture, decoded.

    Raises:
        ToolError: it is none that can be shown to an agent: no picture at all, broken, or of
            unbounded size or shape.
    """
    if not isinstance(image, Image.Image):
        raise ToolError(f"the tool gave {type(image).__name__} where a picture was asked for")
    size = f"{image.width}x{image.height}"
    if not 0 < image.width * image.height <= MAX_PIXELS:
        raise ToolError(f"the tool gave a picture of {size}; wants 1 to {MAX_PIXELS} pixels")
    if max(image.size) > MAX_RATIO * min(image.size):
        raise ToolError(
            f"the tool gave a picture of {size}; wants one side to be at most {MAX_RATIO} times "
            "the other"
        )
    try:
        image.load()
    except (OSError, SyntaxError) as error:
        raise ToolError(f"the tool gave a picture that cannot be decoded: {error}") from error
    return image


def _results(
    tool: ImageTool, prompts: Sequence[str], seeds: Sequence[int]
) -> Sequence[Image.Image | ToolError]:
    try:
        results: Sequence[Image.Image | ToolError] = tool.generate(prompts, seeds)
    except PartialFailure as error:
        results = error.results
    if len(results) != len(prompts):
        raise ToolError(f"the tool gave {len(results)} pictures for {len(prompts)} prompts")
    return results


def _usable_or_error(result: Image.Image | ToolError) -> Image.Image | ToolError:
    try:
        return result if isinstance(result, ToolError) else usable_picture(result)
    except ToolError as error:
        return error
