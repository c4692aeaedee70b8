"""Eq. 6 and 7: from verdicts to a reward.

``r = r_point + r_format + lambda * r_pair`` with ``lambda`` 1 where the point reward was earned and
less where it was not. The pair reward is all or nothing: every picture must beat the one before
it. What a trajectory of one picture earns there, where there is no pair, the paper leaves open;
``SingleRound`` names the readings. What options add is added to the total.
"""

from collections.abc import Sequence

from genagent_rewards.assessment import agreement
from genagent_rewards.peak import peak_parts
from genagent_rewards.reward_config import RewardConfig, SingleRound
from genagent_rewards.reward_record import RewardBreakdown


def hybrid_reward(
    *,
    point_passed: bool,
    pair_wins: Sequence[bool],
    format_error: bool,
    single_round: SingleRound = "zero",
    point: float = 0.7,
    format: float = -0.2,
    pair: float = 0.3,
    lambda_failed: float = 0.5,
) -> RewardBreakdown:
    """Eq. 6 and 7 for one trajectory that has a picture.

    Args:
        point_passed: the last picture satisfies the request.
        pair_wins: for each two consecutive pictures, whether the later is better.
        format_error: the trajectory ended in a format error.
        single_round: what an empty ``pair_wins`` earns.
        point: size of this part, and so the next three, as in ``RewardConfig``.
        format: of a format error.
        pair: of the bonus.
        lambda_failed: the bonus's factor where the point was not earned.

    Raises:
        ValueError: a size is out of range or ``single_round`` is unknown.
    """
    config = RewardConfig(
        point=point,
        format=format,
        pair=pair,
        lambda_failed=lambda_failed,
        single_round=single_round,
    )
    return pay(config, passed=[point_passed], pair_wins=pair_wins, format_error=format_error)


def pay(
    config: RewardConfig,
    *,
    passed: Sequence[bool],
    pair_wins: Sequence[bool],
    format_error: bool,
    taken_for_right: Sequence[bool | None] = (),
) -> RewardBreakdown:
    """What a trajectory earns.

    Args:
        passed: whether each picture satisfies the request, or the last one alone where no option
            asks about all; none where nothing was drawn.
        pair_wins: for each comparison, whether the later picture is better.
        taken_for_right: as in ``RewardCase``.
    """
    point_passed = bool(passed) and passed[-1]
    point = config.point if point_passed else 0.0
    format = config.format if format_error else 0.0
    pair = config.pair if _won(config, passed, pair_wins) else 0.0
    factor = 1.0 if point_passed else config.lambda_failed
    options = peak_parts(config, passed)
    if config.assessment:
        right = agreement(taken_for_right, passed) if taken_for_right else 0.0
        options["assessment"] = config.assessment * right
    return RewardBreakdown(
        total=sum(options.values(), start=point + format + factor * pair),
        point=point,
        pair=pair,
        format=format,
        late=factor * pair if config.credit == "turn" and pair_wins else None,
        **options,
    )


def _won(config: RewardConfig, passed: Sequence[bool], pair_wins: Sequence[bool]) -> bool:
    # Not even the literal reading rewards a trajectory that drew nothing.
    if config.single_round == "none" or not passed:
        return False
    if pair_wins:
        return all(pair_wins)
    if config.credit == "turn":
        return False
    return config.single_round == "literal" or (config.single_round == "if_passed" and passed[-1])
