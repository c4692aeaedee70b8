"""What the policy before and after RL takes the same pictures for.

    uv run benchmarks/same_pictures.py --run runs/rl_flux-20261130-033956

An agent that has learnt agrees less with the truth about its pictures than one that has not. Either
its eyes have got worse, or the pictures that it fails have got harder to tell. So both policies are
shown the first pictures of both: each attempt is given as it was up to its first picture (the first
turn's words are the other's own), and the next turn is sampled at temperature 1. Calling the tool
again takes the picture for wrong, answering for right. For runs of the miniature, whose truth is
known, with their pictures and their policy; two to four minutes of one core for 150 of each.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from genagent_data import PictureStore, Turn, parse_turn, render_turn, write_text
from genagent_miniworld import Miniature
from genagent_policy import Policy
from genagent_rollout import SamplingConfig
from genagent_tracking import parse, print_line, print_table
from genagent_worlds import Outcome, rate, read_outcomes


@dataclass(frozen=True, kw_only=True)
class SamePictures:
    """Whose pictures, and how many."""

    run: Path
    """Folder of a run that has finished."""
    count: int = 150
    """Attempts before RL, and as many after it."""
    seed: int = 0
    output: Path = Path("runs/same_pictures.json")

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"count is {self.count}; wants 1 or more")
        if not (self.run / "policy").is_dir():
            raise ValueError(f"run is {self.run}; wants a run's folder with its policy in it")


@torch.no_grad()
def takes_for_right(policy: Policy, outcome: Outcome) -> bool | None:
    """What its next turn takes the first picture for; None where that turn breaks the protocol."""
    begun = outcome.trajectory.rounds[0]
    assert begun.picture is not None and begun.tool_prompt is not None
    first = render_turn(Turn(thinking=begun.thinking, tool_prompt=begun.tool_prompt))
    request, chat = outcome.request.prompt, policy.chat
    whole = chat.render([first, "."], request, [begun.picture.image])
    second = whole.policy_mask.nonzero().flatten()[whole.turns == 1][0]
    ids = whole.ids[None, :second]
    found = policy.model.generate(  # pyright: ignore[reportAttributeAccessIssue]
        input_ids=ids,
        mm_token_type_ids=(ids == chat.image_token_id).int(),
        pixel_values=chat.expand_pictures(whole.pixel_values),
        image_grid_thw=whole.grids,
        max_new_tokens=SamplingConfig().max_turn_tokens,
        do_sample=True,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        eos_token_id=chat.turn_end_id,
        pad_token_id=chat.turn_end_id,
    )[0, second:].tolist()
    ended = found[-1] == chat.turn_end_id
    said = chat.decode(found[:-1] if ended else found)
    turn = parse_turn(said, images_so_far=1, max_rounds=2, cut_off=not ended)
    return None if turn.error else turn.tool_prompt is None


def main(config: SamePictures) -> None:
    """Ask, show, write down."""
    begun = json.loads((config.run / "config.json").read_text())["policy"]["policy"]
    policies = {
        "before": Policy.load(Miniature().policies.get(begun, Path(begun))),
        "after": Policy.load(config.run / "policy"),
    }
    evaluations = sorted(config.run.glob("evaluation-*.jsonl"))
    store = PictureStore(config.run / "pictures")
    torch.manual_seed(config.seed)
    rows = []
    for drawn, path in (("before", evaluations[0]), ("after", evaluations[-1])):
        outcomes = [
            one for one in read_outcomes(path, store) if one.passed and one.passed[0] is not None
        ]
        for eyes, policy in policies.items():
            said = [
                (one.passed[0], takes_for_right(policy, one)) for one in outcomes[: config.count]
            ]
            known = [(right, taken) for right, taken in said if taken is not None]
            rows.append(
                {
                    "pictures of": f"{drawn} RL",
                    "seen by": f"{eyes} RL",
                    "n": str(len(known)),
                    "all": rate([right == taken for right, taken in known]).short,
                    "wrong ones": rate([not t for right, t in known if not right]).short,
                    "right ones": rate([t for right, t in known if right]).short,
                }
            )
    print_table("first pictures taken for what they are, percent", rows, has_total=False)
    config.output.parent.mkdir(parents=True, exist_ok=True)
    write_text(config.output, json.dumps(rows, indent=2))
    print_line(str(config.output))


if __name__ == "__main__":
    main(parse(SamePictures, sys.argv[1:], prog="same_pictures.py"))
