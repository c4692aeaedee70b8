"""What a run would take, before it takes it: memory by GPU, calls, time, disk, places."""

import lazy_loader

# Names and their modules stand in __init__.pyi and load at first use: no run that is not planned
# loads any of it.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
