"""Many runs as one study: cells that are kept, a queue, statistics over seeds, a page."""

import lazy_loader

# Names and their modules stand in __init__.pyi and load at first use: see genagent_tracking.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
