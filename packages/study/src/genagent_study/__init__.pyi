from .cell import Cell, Here, Made, with_needs
from .code_version import code_version
from .option_words import option_words, reward_words
from .over_seeds import OverSeeds, over_seeds
from .pace import Pace
from .page import write_page
from .paired import Difference, difference
from .pattern import Pattern
from .plan import Plan, make_plan
from .queue import Failure, run_cells
from .result import Answers, Result
from .sections import SECTIONS
from .shown import Example, Plot, Section, Shown, Table
from .store import CellStore
from .study import Study, Subject

__all__ = [
    "SECTIONS",
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
    "option_words",
    "over_seeds",
    "reward_words",
    "run_cells",
    "with_needs",
    "write_page",
]
