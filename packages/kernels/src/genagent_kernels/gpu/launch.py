"""Where Triton kernels can run."""

from functools import cache

from torch import Tensor
from triton import knobs


@cache
def is_interpreted() -> bool:
    """Whether kernels run in Triton's interpreter (``TRITON_INTERPRET=1``), on the CPU."""
    return bool(knobs.runtime.interpret)


def can_launch(tensor: Tensor) -> bool:
    """Whether a kernel can take ``tensor``: on a GPU, or anywhere under the interpreter."""
    return tensor.is_cuda or is_interpreted()
