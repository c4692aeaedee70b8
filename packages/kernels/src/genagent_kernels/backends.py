"""Which implementation runs, decided once a call."""

import importlib.util
from typing import Literal, get_args

import torch
from torch import Tensor

Backend = Literal["torch", "triton"]


def choose_backend(values: Tensor, backend: Backend | None) -> Backend:
    """The backend for ``values``: Triton on CUDA, PyTorch elsewhere, unless one is named.

    Triton's kernels accumulate in float32, so float64 goes to PyTorch.

    Raises:
        ValueError: the backend does not exist, or cannot take these values here.
    """
    if backend not in (None, *get_args(Backend)):
        raise ValueError(f'backend is {backend!r}; use None, "torch" or "triton"')
    if backend == "torch":
        return "torch"
    if backend is None:
        if not values.is_cuda or values.dtype == torch.float64:
            return "torch"
        return "triton" if importlib.util.find_spec("triton") else "torch"
    if values.dtype == torch.float64:
        raise ValueError('backend "triton" has no float64; use backend="torch"')
    if importlib.util.find_spec("triton") is None:
        raise ValueError('backend "triton" wants the package triton (Linux); use backend="torch"')
    from genagent_kernels.gpu.launch import can_launch

    if not can_launch(values):
        raise ValueError(
            f'backend "triton" wants CUDA tensors, has them on {values.device}; use '
            'backend="torch", or set TRITON_INTERPRET=1 before the first call to interpret it'
        )
    return "triton"
