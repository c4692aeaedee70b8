"""Shapes and types are checked before any test imports the package."""

from tests.annotations import check_annotations

check_annotations("genagent_policy")
