"""The agent at work for people: live rounds, pages, the endpoint."""

import lazy_loader

# Names and their modules stand in __init__.pyi and load at first use: torch alone takes seconds,
# and a command line's --help needs none of it.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
