"""A trajectory without its pixels."""

from dataclasses import replace

from genagent_data.pictures import PictureStore
from genagent_data.trajectory import Trajectory


def light_trajectory(trajectory: Trajectory, store: PictureStore) -> Trajectory:
    """With its pictures' names and files in place of their pixels."""
    rounds = tuple(
        replace(round, picture=None if round.picture is None else store.get(round.picture.name))
        for round in trajectory.rounds
    )
    return replace(trajectory, rounds=rounds)
