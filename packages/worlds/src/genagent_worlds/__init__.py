"""Worlds: what the agent is asked, what draws, who judges, and what is true where that is known."""

from genagent_worlds.audit import audit_outcomes, audit_rewards, pair_by_first_picture
from genagent_worlds.comparison import compare, paired_p_value, result_rows, telling_pair
from genagent_worlds.conduct import (
    NEAR,
    Conduct,
    conduct,
    conduct_rows,
    is_near,
    spoils,
    turns_said,
    word_distance,
)
from genagent_worlds.files import FileRequests, FilesAndEndpoints
from genagent_worlds.outcomes import (
    Outcome,
    judge_outcomes,
    measure,
    read_outcomes,
    step_figures,
    success_name,
    summarize,
    write_outcomes,
)
from genagent_worlds.paired import PairedDifference, paired_difference
from genagent_worlds.rates import Rate, rate
from genagent_worlds.services import Services, chat_judges
from genagent_worlds.teachers import ChatTeachers, TeacherConfig, TeacherEndpoints
from genagent_worlds.world import Judges, Requests, World, WorldConfig

__all__ = [
    "NEAR",
    "ChatTeachers",
    "Conduct",
    "FileRequests",
    "FilesAndEndpoints",
    "Judges",
    "Outcome",
    "PairedDifference",
    "Rate",
    "Requests",
    "Services",
    "TeacherConfig",
    "TeacherEndpoints",
    "World",
    "WorldConfig",
    "audit_outcomes",
    "audit_rewards",
    "chat_judges",
    "compare",
    "conduct",
    "conduct_rows",
    "is_near",
    "judge_outcomes",
    "measure",
    "pair_by_first_picture",
    "paired_difference",
    "paired_p_value",
    "rate",
    "read_outcomes",
    "result_rows",
    "spoils",
    "step_figures",
    "success_name",
    "summarize",
    "telling_pair",
    "turns_said",
    "word_distance",
    "write_outcomes",
]
