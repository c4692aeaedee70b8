"""What people say of trajectories: a line in a file, and a trace with feedback in MLflow."""

import json
import os
import secrets
import threading
import time
from collections import OrderedDict
from dataclasses import asdict, replace
from pathlib import Path

from genagent_data import PictureStore, light_trajectory, trajectory_to_row
from genagent_serving.answered import Answered
from genagent_tracking import MlflowTracker, PersonFeedback, TrajectoryRecord

REMEMBERED = 1000
"""Trajectories of which feedback is still taken."""


class FeedbackBook:
    """Keeps feedback; from any thread."""

    def __init__(self, path: Path, tracker: MlflowTracker, store: PictureStore) -> None:
        """
        Args:
            path: the file of lines; what is in it stays.
            store: has the pictures of all that is remembered.
        """
        self.path = path
        self._tracker = tracker
        self._store = store
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._known: OrderedDict[str, Answered] = OrderedDict()
        self._traces: dict[str, str] = {}

    def remember(self, answered: Answered) -> str:
        """A name by which feedback on a trajectory is given, and which nobody can guess."""
        name = secrets.token_urlsafe(12)
        # Two pictures of 1024x1024 are 6 MB of pixels, and a thousand attempts are remembered.
        light = light_trajectory(answered.trajectory, self._store)
        answered = replace(answered, trajectory=light)
        with self._lock:
            self._known[name] = answered
            while len(self._known) > REMEMBERED:
                forgotten, _ = self._known.popitem(last=False)
                self._traces.pop(forgotten, None)
        return name

    def keep(self, name: str, feedback: PersonFeedback) -> None:
        """Write it down; what is said later of the same trajectory stands beside what was said.

        Raises:
            KeyError: no trajectory of that name, or one of long ago.
            OSError: the line cannot be written; nothing is kept.
            TrackingError: the line is kept, and MLflow has not got it.
        """
        with self._lock:
            known = self._known[name]
        # MLflow may be slow, or away for minutes, and others' attempts are to be remembered.
        with self._writing:
            row = {
                "time": time.time(),
                "attempt": name,
                "feedback": asdict(feedback),
                "seed": known.seed,
                "turns": known.turns,
                "trajectory": trajectory_to_row(known.trajectory),
            }
            with self.path.open("a", encoding="utf-8", newline="\n") as file:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
                file.flush()
                os.fsync(file.fileno())
            if name not in self._traces:
                record = TrajectoryRecord(trajectory=known.trajectory, turns=known.turns)
                [self._traces[name]] = self._tracker.trajectories([record], 0)
            self._tracker.feedback(self._traces[name], feedback)
