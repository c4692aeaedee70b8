from .cell import Cell, Here, Made, with_needs
from .code_version import code_version
from .over_seeds import OverSeeds, over_seeds
from .pace import Pace
from .page import write_page
from .paired import Difference, difference
from .pattern import Pattern
from .plan import Plan, make_plan
from .queue import Failure, run_cells
from .result import Answers, Result
from .sections import FIGURE4, FIGURE5, FIGURE6, REWARDS, STRATEGIES, TABLE1, TABLE5, WITHHOLDING
from .shown import Example, Plot, Section, Shown, Table
from .store import CellStore
from .study import Study, Subject

__all__ = [
    "FIGURE4",
    "FIGURE5",
    "FIGURE6",
    "REWARDS",
    "STRATEGIES",
    "TABLE1",
    "TABLE5",
    "WITHHOLDING",
    "Answers",
    "Cell",
    "CellStore",
    "Difference",
    "Example",
    "Failure",
    "Here",
    "Made",
    "OverSeeds",
    "Pace",
    "Pattern",
    "Plan",
    "Plot",
    "Result",
    "Section",
    "Shown",
    "Study",
    "Subject",
    "Table",
    "code_version",
    "difference",
    "make_plan",
    "over_seeds",
    "run_cells",
    "with_needs",
    "write_page",
]
