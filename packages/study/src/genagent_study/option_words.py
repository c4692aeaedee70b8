"""Options as a study is told them, in one word each, and as a command line has them."""

from collections.abc import Sequence
from dataclasses import fields

from genagent_rewards import RewardConfig


def option_words(*told: str) -> tuple[str, ...]:
    """``name=value`` as two words, and ``name=`` as a flag.

    Example: ``option_words("lr=1e-4", "trial=") == ("--lr", "1e-4", "--trial")``

    Raises:
        ValueError: one has no ``=``.
    """
    words: list[str] = []
    for one in told:
        name, equals, value = one.partition("=")
        if not equals:
            raise ValueError(f"training is {one!r}; wants name=value, or name= for a flag")
        words += [f"--{name}", value] if value else [f"--{name}"]
    return tuple(words)


def reward_words(*told: str) -> tuple[str, ...]:
    """The same of a reward: a bare word says what a single picture earns, an option of the reward
    goes without its prefix, and any other one as it is.

    Example: ``reward_words("zero", "shared-first=0.5")`` is
    ``("--reward.single-round", "zero", "--shared-first", "0.5")``.
    """
    own = {field.name.replace("_", "-") for field in fields(RewardConfig)}
    named = (one if "=" in one else f"single-round={one}" for one in told)
    return option_words(
        *(f"reward.{one}" if one.partition("=")[0] in own else one for one in named)
    )


def without(words: Sequence[str], *names: str) -> tuple[str, ...]:
    """A command line without some of its options.

    Example: ``without(("--lr", "1e-4", "--trial"), "--lr") == ("--trial",)``
    """
    left: list[str] = []
    is_left_out = False
    for word in words:
        if word.startswith("--"):
            is_left_out = word in names
        if not is_left_out:
            left.append(word)
    return tuple(left)
