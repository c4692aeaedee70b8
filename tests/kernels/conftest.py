"""Without a GPU, Triton's interpreter runs the same kernels: chosen before they are defined."""

import os

import torch

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
