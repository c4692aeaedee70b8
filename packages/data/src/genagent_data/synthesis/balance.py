"""Which of the trajectories are kept, so that no data type and no ending outweighs the others.

Ids alone are held, some hundred bytes each; which are kept follows from them and the seed.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median

from genagent_data.seeds import derive_seed
from genagent_data.synthesis.draft import Draft


@dataclass(frozen=True, kw_only=True, slots=True)
class Balance:
    """Which are surplus, and what is missing.

    Example: ``Balance(dropped={"train-7": "surplus_task"}, short={"count": 3})``
    """

    dropped: Mapping[str, str]
    """Ids, each with its reason."""
    short: Mapping[str, int]
    """By task, how many more that do not end in an answer its share asks for, where there are too
    few."""


def balance(drafts: Iterable[Draft], *, unfinished: float, task_ratio: float, seed: int) -> Balance:
    """Balance data types and endings.

    Args:
        drafts: all of which have ended.
        unfinished: share of those that do not end in an answer, in each task. Where there are
            fewer, nothing else is dropped for it, and no other task has more: an agent would learn
            which kinds of request are given up.
        task_ratio: how many times the median task's number a task may have.
    """
    finished: dict[str, list[str]] = defaultdict(list)
    open_ended: dict[str, list[str]] = defaultdict(list)
    for draft in drafts:
        kind = open_ended if draft.ending == "out_of_rounds" else finished
        kind[draft.request.task].append(draft.request.id)
    tasks = sorted(finished.keys() | open_ended.keys())
    wanted = {task: _unfinished_of(len(finished[task]), unfinished) for task in tasks}
    sizes = {task: len(finished[task]) + min(wanted[task], len(open_ended[task])) for task in tasks}
    most = task_ratio * median(sizes.values()) if sizes else 0
    dropped: dict[str, str] = {}
    short: dict[str, int] = {}
    for task in tasks:
        size = min(sizes[task], max(1, round(most)))
        share = wanted[task] if size == sizes[task] else round(unfinished * size)
        loose = min(round(unfinished * size), len(open_ended[task]), sizes[task])
        loose = max(loose, size - len(finished[task]))
        if share > loose:
            short[task] = share - loose
        for ids, keep in ((finished[task], size - loose), (open_ended[task], loose)):
            ids.sort(key=lambda id: (derive_seed(seed, "balance", id), id))
            reason = "surplus_task" if ids is finished[task] else "surplus_unfinished"
            dropped |= dict.fromkeys(ids[keep:], reason)
    return Balance(dropped=dropped, short=short)


def _unfinished_of(finished: int, share: float) -> int:
    """How many come to that share beside so many others."""
    return round(finished * share / (1 - share))
