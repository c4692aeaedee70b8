"""Pictures that somebody else has made, in the place of answers: any system can be scored."""

from collections.abc import Mapping, Sequence

from genagent_data import Picture, PictureStore, Request, Round, Trajectory
from genagent_rollout.strategies.strategy import Answered


def given_answers(
    requests: Sequence[Request], given: Mapping[str, Picture], store: PictureStore
) -> list[Answered]:
    """One answer of one picture for each request that has one, of its own words.

    Args:
        given: by request id, as ``genagent_worlds.read_pictures`` finds them.

    Raises:
        OSError: a picture cannot be read, or not be stored.
    """
    answers = []
    for request in requests:
        if request.id not in given:
            continue
        name = store.put(given[request.id].image).name
        # By its file: a thousand decoded ones of 1024x1024 are 3 GB.
        only = Round(thinking=None, tool_prompt=request.prompt, picture=store.get(name))
        trajectory = Trajectory(request=request, rounds=(only,), ending="fixed")
        answers.append(Answered(trajectory=trajectory, turns=(), seed=0, seconds=0.0))
    return answers
