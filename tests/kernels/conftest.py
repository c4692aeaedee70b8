"""Shapes and types are checked before any test imports the package."""

from tests.annotations import check_annotations

# Not those in gpu: Triton compiles a function's own source among its own globals, and finds
# neither in a wrapper that checks its arguments.
check_annotations("genagent_kernels", but=["gpu"])
