"""How long a study will take, from how long its cells have taken."""

from collections.abc import Collection, Mapping, Sequence

from genagent_study.cell import Cell


class Pace:
    """Seconds of cells, told as they end, and estimated for those that have not."""

    def __init__(self) -> None:
        self._minutes: dict[str, float] = {}
        self._seconds: dict[str, float] = {}

    @property
    def is_measured(self) -> bool:
        """Whether any cell has been told of."""
        return bool(self._seconds)

    def took(self, cell: Cell, seconds: float) -> None:
        """A cell has ended after so long."""
        script = cell.script
        self._minutes[script] = self._minutes.get(script, 0.0) + cell.minutes
        self._seconds[script] = self._seconds.get(script, 0.0) + seconds

    def seconds(self, cell: Cell) -> float:
        """A cell's time, at the pace of those of its script, or else of all, or else as it says."""
        minutes, seconds = self._minutes, self._seconds
        if cell.script in seconds:
            minutes, seconds = ({cell.script: kept[cell.script]} for kept in (minutes, seconds))
        if not seconds:
            return 60 * cell.minutes
        return sum(seconds.values()) / max(sum(minutes.values()), 1e-9) * cell.minutes

    def left(
        self, cells: Collection[Cell], *, parallel: int, begun: Mapping[Cell, float] | None = None
    ) -> float:
        """Seconds until all of these have ended: their work over so many hands, or the longest
        chain of cells that need one another.

        Args:
            begun: seconds that cells have been at work.
        """
        spent = begun or {}
        left = {cell: max(self.seconds(cell) - spent.get(cell, 0.0), 0.0) for cell in cells}
        return max(sum(left.values()) / parallel, max(chains(left).values(), default=0.0))


def chains(seconds: Mapping[Cell, float]) -> dict[Cell, float]:
    """For each cell its own time and that of the longest chain of cells that wait for it.

    Args:
        seconds: of each; a cell that is needed and not here is done.
    """
    waiting: dict[Cell, list[Cell]] = {cell: [] for cell in seconds}
    for cell in seconds:
        for needed in cell.needs:
            if needed in waiting:
                waiting[needed].append(cell)
    found: dict[Cell, float] = {}

    def length(cell: Cell) -> float:
        if cell not in found:
            found[cell] = seconds[cell] + max(map(length, waiting[cell]), default=0.0)
        return found[cell]

    return {cell: length(cell) for cell in seconds}


def longest_first(cells: Sequence[Cell], pace: Pace) -> list[Cell]:
    """In the order in which to begin them, so that none is left over at the end."""
    length = chains({cell: pace.seconds(cell) for cell in cells})
    return sorted(cells, key=lambda cell: -length[cell])
