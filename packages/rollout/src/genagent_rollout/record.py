"""The tokens of one conversation, as they were sampled and as the environment answered."""

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from genagent_policy import ChatFormat, TokenTrajectory, no_pictures
from genagent_rollout.config import SamplingConfig
from genagent_rollout.conversation import SampledTurn


class TokenRecord:
    """Token ids of a conversation with what is known of each; an engine appends, nothing changes.

    Example: a prompt of 60 tokens, a turn of 40 and an observation of 26 are 126 ids, of which
    ``policy`` marks 40.
    """

    def __init__(self, prompt: str, chat: ChatFormat, config: SamplingConfig) -> None:
        self.chat = chat
        self.config = config
        self.ids: list[int] = chat.prompt_ids(prompt)
        self.policy: list[bool] = [False] * len(self.ids)
        self.logprobs: list[float] = [0.0] * len(self.ids)
        self.pixels: list[UInt8[Tensor, "patches dim"]] = []
        self.grids: list[Int64[Tensor, " 3"]] = []
        self.prompt_tokens = len(self.ids)
        self.turn_start = len(self.ids)

    @property
    def response_left(self) -> int:
        """How many more tokens the response may have; below 0 after a large picture."""
        return self.config.max_response_tokens - (len(self.ids) - self.prompt_tokens)

    def begin_turn(self) -> int:
        """A turn of the agent begins; returns how many tokens it may have, at least one."""
        self.turn_start = len(self.ids)
        return max(1, min(self.config.max_turn_tokens, self.response_left))

    def sampled(self, token: int, logprob: float) -> None:
        """Append a token that the policy chose."""
        self.ids.append(token)
        self.policy.append(True)
        self.logprobs.append(logprob)

    def ends_turn(self, token: int) -> bool:
        return token == self.chat.turn_end_id or token in self.config.stop_tokens

    def turn(self) -> SampledTurn:
        """The turn that began last, as it was sampled."""
        ids = self.ids[self.turn_start :]
        ended = self.ends_turn(ids[-1])
        text = ids[:-1] if ended else ids
        return SampledTurn(
            ids=tuple(ids),
            text=self.chat.decode(text),
            cut_off=not ended or self.response_left < 0,
            tool_syntax=self.chat.tool_syntax,
        )

    def observe(self, pixels: UInt8[Tensor, "patches dim"], grid: Int64[Tensor, " 3"]) -> None:
        """Append a picture as the answer to the turn that has just ended."""
        ids = self.chat.observation_ids(grid)
        if self.ids[-1] != self.chat.turn_end_id:
            ids = [self.chat.turn_end_id, *ids]
        self.ids.extend(ids)
        self.policy.extend([False] * len(ids))
        self.logprobs.extend([0.0] * len(ids))
        self.pixels.append(pixels)
        self.grids.append(grid)

    def tokens(self) -> TokenTrajectory:
        """Everything said so far, exactly as it was sampled."""
        no_pixels, no_grids = no_pictures(self.chat.patch_dim)
        return TokenTrajectory(
            ids=torch.tensor(self.ids),
            policy_mask=torch.tensor(self.policy),
            logprobs=torch.tensor(self.logprobs, dtype=torch.float32),
            pixel_values=torch.cat([no_pixels, *self.pixels]),
            grids=torch.stack(self.grids) if self.grids else no_grids,
            temperature=self.config.temperature,
        )
