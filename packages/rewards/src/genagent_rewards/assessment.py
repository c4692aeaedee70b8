"""Being right about a picture, paid for.

    r_assessment = assessment * 1/m Σ_t [the agent took picture t for right = the judge passes it]

over the ``m`` pictures of which it shows what the agent took them for: calling the tool again takes
a picture for wrong, answering for right, and so does wanting another one after the last round.
Nothing in Eq. 6 pays for what the agent says of a picture, and its agreement with the truth may
decay in RL. A remedy of this project, without a source. Its risk: of a picture that plainly fails
it is easy to be right, so the size must stay well below that of the point reward.
"""

from collections.abc import Sequence


def agreement(taken_for_right: Sequence[bool | None], passed: Sequence[bool]) -> float:
    """The share of the agent's assessments that the judge shares, 0 where there is none.

    Example: ``agreement([False, None], [False, True])`` is 1.0.
    """
    pairs = zip(taken_for_right, passed, strict=True)
    known = [taken == so for taken, so in pairs if taken is not None]
    return sum(known) / len(known) if known else 0.0
