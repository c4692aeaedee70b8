"""Where a stage stands in its middle: the judge's take hours, and machines stop earlier."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Midway:
    """Keeps the latest state of a stage in a folder.

    Example: ``Midway(folder=work / "judge-mini.partial")``
    """

    folder: Path
    every: int = 100
    """Steps between two states."""

    def latest(self) -> tuple[int, Path | None]:
        """Steps taken and the folder of the latest state; 0 and None where there is none."""
        found = sorted(self.folder.glob("step-??????"))
        return (int(found[-1].name.removeprefix("step-")), found[-1]) if found else (0, None)

    def keep(self, steps: int, write: Callable[[Path], None]) -> None:
        """After so many steps have ``write`` fill a folder, if it is time for one; it takes the
        place of those before once it is whole. Raises OSError where it cannot be written."""
        if steps % self.every:
            return
        before = list(self.folder.glob("step-*"))
        partial = self.folder / f"step-{steps:06d}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        write(partial)
        partial.rename(partial.with_suffix(""))
        for path in before:
            if path.name != partial.stem:
                shutil.rmtree(path, ignore_errors=True)

    def clear(self) -> None:
        """The stage is over."""
        for path in self.folder.glob("step-*"):
            shutil.rmtree(path)
