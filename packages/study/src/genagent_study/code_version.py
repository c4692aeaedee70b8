"""Which code figures come from, in eight digits that comments and docstrings do not change."""

import ast
import hashlib
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path

_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def code_version(packages: Sequence[str], scripts: Iterable[Path]) -> str:
    """Over the code and all other files of packages, none of which is imported, and of scripts.

    Args:
        packages: names as they are imported.

    Raises:
        ValueError: there is no such package.
        OSError: a file cannot be read.
        SyntaxError: one is no Python.
    """
    digest = hashlib.sha256()
    for name in packages:
        found = find_spec(name)
        if found is None or not found.submodule_search_locations:
            raise ValueError(f"package is {name!r}; wants one that is installed here")
        [root] = map(Path, found.submodule_search_locations)
        for path in sorted(root.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(f"{name}/{path.relative_to(root).as_posix()}\n".encode())
                digest.update(_content(path))
    for path in sorted(scripts):
        digest.update(f"{path.name}\n".encode() + _content(path))
    return digest.hexdigest()[:8]


def _content(path: Path) -> bytes:
    content = path.read_bytes()
    return hashlib.sha256(_code(content) if path.suffix == ".py" else content).digest()


def _code(source: bytes) -> bytes:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED):
            node.body = [line for line in node.body if not _is_text(line)]
    return ast.dump(tree).encode()


def _is_text(line: ast.stmt) -> bool:
    """A docstring, or the text below a field that says what it is."""
    return (
        isinstance(line, ast.Expr)
        and isinstance(line.value, ast.Constant)
        and isinstance(line.value.value, str)
    )
