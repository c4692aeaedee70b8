"""The sections of studies, one file each."""

from genagent_study.sections.cases import CASES
from genagent_study.sections.deceived import DECEIVED
from genagent_study.sections.figure4 import FIGURE4
from genagent_study.sections.figure5 import FIGURE5
from genagent_study.sections.figure6 import FIGURE6
from genagent_study.sections.new_requests import NEW_REQUESTS
from genagent_study.sections.rewards import REWARDS
from genagent_study.sections.strategies import STRATEGIES
from genagent_study.sections.table1 import TABLE1
from genagent_study.sections.table5 import TABLE5
from genagent_study.sections.transfer import TRANSFER
from genagent_study.sections.withholding import WITHHOLDING

SECTIONS = {
    section.name: section
    for section in (
        *(TABLE1, STRATEGIES, TABLE5, FIGURE4, FIGURE5, FIGURE6),
        *(WITHHOLDING, REWARDS, TRANSFER, DECEIVED, NEW_REQUESTS, CASES),
    )
}
"""All of them, by name."""
