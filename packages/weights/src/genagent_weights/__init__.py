"""Folders of weights: safetensors and no pickle, whole, or named in one line."""

from genagent_weights.failure import WeightsError
from genagent_weights.fingerprint import fingerprint
from genagent_weights.folder import ATTENTION, check_weights, read_settings
from genagent_weights.loading import load_whole, quiet, reading

__all__ = [
    "ATTENTION",
    "WeightsError",
    "check_weights",
    "fingerprint",
    "load_whole",
    "quiet",
    "read_settings",
    "reading",
]
