"""Worlds: what the agent is asked, what draws, who judges, and what is true where that is known."""

from genagent_worlds.audit import (
    audit_outcomes,
    audit_rewards,
    pair_by_first_picture,
    with_judge,
)
from genagent_worlds.benchmark_config import BenchmarkConfig, NamedScorer
from genagent_worlds.benchmarks.benchmark import (
    ABSENCES,
    PROTOCOLS,
    Absence,
    Benchmark,
    JudgeSettings,
    Protocol_,
    Result,
    Score,
    Tabled,
)
from genagent_worlds.benchmarks.load import BENCHMARKS, load_benchmark
from genagent_worlds.benchmarks.pictures import read_pictures
from genagent_worlds.benchmarks.scoring import (
    ScoredByJudge,
    ScoredByQuestion,
    ScoresPictures,
    score_pictures,
)
from genagent_worlds.benchmarks.table import BenchmarkTable, Row
from genagent_worlds.benchmarks.tasks import TaskBenchmark
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
from genagent_worlds.diagnostics import ScoredAttempt, diagnose
from genagent_worlds.estimates import Estimate, mean_estimate
from genagent_worlds.files import FileRequests, FilesAndEndpoints
from genagent_worlds.frozen_models import (
    FrozenModels,
    Reflects,
    Rewrites,
    Said,
    Tried,
    Verifies,
)
from genagent_worlds.group_records import (
    AttemptRecord,
    Dropped,
    GroupRecord,
    groups_file,
    read_groups,
    with_truth,
    write_groups,
)
from genagent_worlds.judged_again import judged_again
from genagent_worlds.kept_pictures import picture_counts, served_by, with_kept_pictures
from genagent_worlds.outcomes import (
    Outcome,
    PictureWord,
    judge_outcomes,
    measure,
    read_outcomes,
    step_figures,
    success_name,
    summarize,
    write_outcomes,
)
from genagent_worlds.overlap import warn_of_overlap
from genagent_worlds.own_requests import requests_from
from genagent_worlds.paired import PairedDifference, paired_difference
from genagent_worlds.rates import Rate, rate
from genagent_worlds.request_source import Asked, RequestSource
from genagent_worlds.rewards import open_reward, reward_problems
from genagent_worlds.scored_cell import EvaluationCell, ScoredCell, earlier_rows, paired_gain
from genagent_worlds.services import Services, chat_judges
from genagent_worlds.teachers import ChatTeachers, TeacherConfig, TeacherEndpoints
from genagent_worlds.world import Judges, Requests, World, WorldConfig

__all__ = [
    "ABSENCES",
    "BENCHMARKS",
    "NEAR",
    "PROTOCOLS",
    "Absence",
    "Asked",
    "AttemptRecord",
    "Benchmark",
    "BenchmarkConfig",
    "BenchmarkTable",
    "ChatTeachers",
    "Conduct",
    "Dropped",
    "Estimate",
    "EvaluationCell",
    "FileRequests",
    "FilesAndEndpoints",
    "FrozenModels",
    "GroupRecord",
    "JudgeSettings",
    "Judges",
    "NamedScorer",
    "Outcome",
    "PairedDifference",
    "PictureWord",
    "Protocol_",
    "Rate",
    "Reflects",
    "RequestSource",
    "Requests",
    "Result",
    "Rewrites",
    "Row",
    "Said",
    "Score",
    "ScoredAttempt",
    "ScoredByJudge",
    "ScoredByQuestion",
    "ScoredCell",
    "ScoresPictures",
    "Services",
    "Tabled",
    "TaskBenchmark",
    "TeacherConfig",
    "TeacherEndpoints",
    "Tried",
    "Verifies",
    "World",
    "WorldConfig",
    "audit_outcomes",
    "audit_rewards",
    "chat_judges",
    "compare",
    "conduct",
    "conduct_rows",
    "diagnose",
    "earlier_rows",
    "groups_file",
    "is_near",
    "judge_outcomes",
    "judged_again",
    "load_benchmark",
    "mean_estimate",
    "measure",
    "open_reward",
    "pair_by_first_picture",
    "paired_difference",
    "paired_gain",
    "paired_p_value",
    "picture_counts",
    "rate",
    "read_groups",
    "read_outcomes",
    "read_pictures",
    "requests_from",
    "result_rows",
    "reward_problems",
    "score_pictures",
    "served_by",
    "spoils",
    "step_figures",
    "success_name",
    "summarize",
    "telling_pair",
    "turns_said",
    "warn_of_overlap",
    "with_judge",
    "with_kept_pictures",
    "with_truth",
    "word_distance",
    "write_groups",
    "write_outcomes",
]
