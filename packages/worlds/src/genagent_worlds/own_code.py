"""The user's own code, named ``module:callable``: a tool, a judge, a reward.

What it names is called once. Whatever goes wrong in it is said in one line, with the place in that
code: a page of our own frames above it would say nothing.
"""

import difflib
import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterator

Given = tuple[object, ...]


def is_code(name: str) -> bool:
    """``module:callable``; a Windows path has a backslash behind its colon."""
    module, _, attribute = name.partition(":")
    return attribute.isidentifier() and all(part.isidentifier() for part in module.split("."))


def locate(name: str, given: Given = ()) -> Callable[..., object]:
    """What ``module:callable`` names, looked for in the working directory too: a script's own
    folder is not where its user stands.

    Args:
        given: what it is going to be called with.

    Raises:
        ValueError: there is no such thing, or it does not take that.
    """
    module, _, attribute = name.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        loaded = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ValueError(f"{name} cannot be imported ({error}); check PYTHONPATH") from error
    except Exception as error:  # a module runs as it is imported, and may raise what it likes
        raise ValueError(f"{name} cannot be imported ({_said(error)})") from error
    try:
        found = getattr(loaded, attribute)
    except AttributeError as error:
        near = difflib.get_close_matches(attribute, vars(loaded), n=1)
        hint = f"; it has {near[0]}" if near else ""
        raise ValueError(f"{name}: {module} has no {attribute}{hint}") from error
    if not callable(found):
        raise ValueError(f"{name} is a {type(found).__name__}; wants something to call")
    try:
        signature = inspect.signature(found)
    except ValueError:  # some that are written in C have none
        return found
    try:
        signature.bind(*given)
    except TypeError as error:
        with_what = f"with {len(given)} arguments" if given else "without arguments"
        raise ValueError(f"{name} is called {with_what}, and takes others ({error})") from error
    return found


def call(name: str, given: Given = ()) -> object:
    """What the callable gives.

    Raises:
        ValueError: there is no such thing, or it raised something.
    """
    found = locate(name, given)
    try:
        return found(*given)
    except Exception as error:  # as above
        raise ValueError(f"{name} raised {_said(error)}") from error


def own_problems(what: str, name: str, *methods: str, given: Given = ()) -> Iterator[str]:
    """A line where ``name`` cannot be what it is given as; it is imported, not called.

    Args:
        methods: what the thing that it makes must have, as far as a class says before it is called.
    """
    try:
        found = locate(name, given)
    except ValueError as error:
        yield " ".join(str(error).split())
        return
    if isinstance(found, type):
        yield from missing(f"{what} {name}", found, *methods)


def missing(what: str, thing: object, *methods: str) -> Iterator[str]:
    """A line where a thing has not got all its methods."""
    lacking = [method for method in methods if not callable(getattr(thing, method, None))]
    if lacking:
        kind = thing.__name__ if isinstance(thing, type) else type(thing).__name__
        yield f"{what} gives a {kind}, which has no method {' and no method '.join(lacking)}"


def _said(error: Exception) -> str:
    """Type, words and the place in the code that raised it."""
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, SyntaxError):  # its words have the place
        return said
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{said}, at {place.filename}:{place.lineno}"
