"""Before the package is imported: where its kernels run, and that shapes and types are checked."""

import os

import torch
from tests.annotations import check_annotations

# Without a GPU, Triton's interpreter runs the same kernels: chosen before they are defined.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

# Not those in gpu: Triton compiles a function's own source among its own globals, and finds
# neither in a wrapper that checks its arguments.
check_annotations("genagent_kernels", but=["gpu"])
