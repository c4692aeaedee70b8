"""Runs, metrics and trajectories with their pictures in MLflow."""

import lazy_loader

# Names and their modules stand in __init__.pyi and load at first use, so that an experiment can see
# to Ctrl-C before anything that takes time.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
