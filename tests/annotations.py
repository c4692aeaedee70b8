"""A package's annotations checked at run time while its tests run: types, dtypes and shapes."""

import sys
from collections.abc import Collection
from importlib.util import find_spec
from pkgutil import iter_modules

from jaxtyping import install_import_hook

CHECKER = "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"
"""An int is a float, as it is to pyright."""


def check_annotations(package: str, *, but: Collection[str] = ()) -> None:
    """Have the package's modules checked, as they are imported, in all but some of them.

    Does nothing where the package is there already, as in a run of all packages' tests: the parts
    that are yet to be imported would be checked and the others not. All of them would cost half as
    much time again there (docs/log.md).
    """
    if package in sys.modules:
        return
    found = find_spec(package)
    assert found is not None and found.submodule_search_locations is not None
    names = [module.name for module in iter_modules(found.submodule_search_locations)]
    install_import_hook([f"{package}.{name}" for name in names if name not in but], CHECKER)
