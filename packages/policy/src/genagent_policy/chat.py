"""The chat framing of the agent's protocol, in tokens; Qwen2.5-VL's, and Qwen3-VL's too.

    <|im_start|>system\\n{system}<|im_end|>\\n<|im_start|>user\\n{prompt}<|im_end|>\\n<|im_start|>assistant\\n
    {turn}<|im_end|>
    \\n<|im_start|>user\\n<tool_response>\\n<|vision_start|>…<|vision_end|>\\n</tool_response><|im_end|>\\n<|im_start|>assistant\\n
    {turn}<|im_end|> …

Control tokens are placed by id and every piece of text is encoded with its special tokens split
into plain text, so that nobody can open a turn or smuggle in a picture by writing ``<|im_end|>``.
A conversation is only ever extended: what was sampled is never decoded and encoded again.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int64, UInt8
from PIL import Image
from torch import Tensor

from genagent_data import OBSERVATION, ToolSyntax, system_message
from genagent_policy.patches import PatchFormat
from genagent_policy.positions import picture_tokens
from genagent_policy.tokens import TokenTrajectory, no_pictures

if TYPE_CHECKING:
    from genagent_policy.model import Processor


class ChatFormat:
    """Turns text and pictures into the token sequences the policy is trained and run on."""

    def __init__(
        self,
        processor: "Processor",
        *,
        system: str | None = None,
        tool_syntax: ToolSyntax = "hermes",
    ) -> None:
        """
        Args:
            system: system message; by default the protocol's.
            tool_syntax: in which the agent calls the tool; the system message shows it.

        Raises:
            ValueError: the processor is of no supported family.
        """
        self.tool_syntax: ToolSyntax = tool_syntax
        self._tokenizer = processor.tokenizer
        self._patches = PatchFormat(processor.image_processor)
        self.merge_size: int = self._patches.merge_size
        self.patch_dim: int = self._patches.dim
        self.turn_start_id = self._control("<|im_start|>")
        self.turn_end_id = self._control("<|im_end|>")
        self.vision_start_id = self._control("<|vision_start|>")
        self.vision_end_id = self._control("<|vision_end|>")
        self.image_token_id = self._control("<|image_pad|>")
        if system is None:
            system = system_message(syntax=tool_syntax)
        before, after = OBSERVATION.split("<image>")
        newline, start, end = self._encode("\n"), [self.turn_start_id], [self.turn_end_id]
        self._assistant = [*end, *newline, *start, *self._encode("assistant\n")]
        self._system = [*start, *self._encode(f"system\n{system}"), *end, *newline, *start]
        self._before_picture = [*newline, *start, *self._encode(f"user\n{before}")]
        self._before_picture.append(self.vision_start_id)
        self._after_picture = [self.vision_end_id, *self._encode(after), *self._assistant]

    def prompt_ids(self, prompt: str) -> list[int]:
        """Everything before the agent's first turn."""
        return [*self._system, *self._encode(f"user\n{prompt}"), *self._assistant]

    def turn_ids(self, text: str) -> list[int]:
        """A turn of the agent, its end-of-turn token included."""
        return [*self._encode(text), self.turn_end_id]

    def observation_ids(self, grid: Int64[Tensor, " 3"]) -> list[int]:
        """What follows the end of a turn that drew a picture, up to the agent's next turn."""
        pads = [self.image_token_id] * picture_tokens(grid, merge_size=self.merge_size)
        return [*self._before_picture, *pads, *self._after_picture]

    def decode(self, ids: Sequence[int]) -> str:
        """Text of a turn without its end-of-turn token; other special tokens stay visible."""
        if ids and ids[-1] == self.turn_end_id:
            ids = ids[:-1]
        return self._tokenizer.decode(
            list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False
        )

    def encode_pictures(
        self, pictures: Sequence[Image.Image]
    ) -> tuple[list[UInt8[Tensor, "patches dim"]], Int64[Tensor, "pictures 3"]]:
        """Levels of each picture's patches, and all grids."""
        return self._patches.encode(pictures)

    def expand_pictures(
        self, pixel_values: UInt8[Tensor, "patches dim"], dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "patches values"]:
        """What the vision tower takes: the image processor's values of those levels."""
        return self._patches.expand(pixel_values, dtype)

    def render(
        self, turn_texts: Sequence[str], prompt: str, pictures: Sequence[Image.Image]
    ) -> TokenTrajectory:
        """A finished conversation for supervised training: turn, picture, turn, …, turn.

        Raises:
            ValueError: there is not exactly one turn more than there are pictures.
        """
        if len(turn_texts) != len(pictures) + 1:
            raise ValueError(
                f"{len(turn_texts)} turns and {len(pictures)} pictures do not alternate; "
                "give one turn more than pictures"
            )
        pixels, grids = self.encode_pictures(pictures)
        ids = self.prompt_ids(prompt)
        policy = [False] * len(ids)
        for index, text in enumerate(turn_texts):
            turn = self.turn_ids(text)
            answer = self.observation_ids(grids[index]) if index < len(pictures) else []
            ids += turn + answer
            policy += [True] * len(turn) + [False] * len(answer)
        return TokenTrajectory(
            ids=torch.tensor(ids),
            policy_mask=torch.tensor(policy),
            logprobs=torch.zeros(len(ids)),
            pixel_values=torch.cat(pixels) if pixels else no_pictures(self.patch_dim)[0],
            grids=grids,
        )

    def _encode(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)

    def _control(self, token: str) -> int:
        found = self._tokenizer.convert_tokens_to_ids(token)
        if not isinstance(found, int) or found == self._tokenizer.unk_token_id:
            raise ValueError(
                f"the tokenizer does not know {token}; use one of Qwen2.5-VL or Qwen3-VL"
            )
        return found
