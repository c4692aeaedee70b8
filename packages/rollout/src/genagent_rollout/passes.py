"""What the model has to compute of conversations: which tokens, at which positions, with which
pictures."""

from collections.abc import Sequence as Listed
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from genagent_policy import Policy, mrope_positions
from genagent_rollout.chunks import Chunk
from genagent_rollout.model_runner import ModelRunner
from genagent_rollout.sequence import Prefix, Sequence


@dataclass(kw_only=True, slots=True)
class EngineCounts:
    """What an engine has done so far."""

    prefilled_tokens: int = 0
    """Tokens computed that were not sampled one by one: prompts, ends of turns, observations."""
    decoded_tokens: int = 0
    """Tokens sampled."""
    encoded_pictures: int = 0
    """Passes of a picture through the vision tower."""
    put_aside: int = 0
    """How often a conversation gave up its pages to another, and was computed again."""
    seconds: float = 0.0
    """Of all steps."""
    scheduling_seconds: float = 0.0
    """Of choosing what a step computes, a part of ``seconds``."""


class Passes:
    """Passes over conversations, which remember how far they are computed."""

    def __init__(self, policy: Policy, runner: ModelRunner, counts: EngineCounts) -> None:
        self._policy = policy
        self._runner = runner
        self._counts = counts

    def prompts(self, prefixes: Listed[Prefix]) -> None:
        """Compute prompts that several conversations begin with."""
        none = torch.zeros(0, 3, dtype=torch.int64)
        parts: list[Chunk] = []
        for prefix in prefixes:
            positions, prefix.position = mrope_positions(
                torch.zeros(len(prefix.ids), dtype=torch.bool),
                none,
                merge_size=self._policy.chat.merge_size,
            )
            parts.append(Chunk(ids=prefix.ids, positions=positions, start=0, pages=prefix.pages))
        for prefix, state in zip(prefixes, self._runner.prefill(parts), strict=True):
            prefix.state = state
        self._counts.prefilled_tokens += sum(len(prefix.ids) for prefix in prefixes)

    def chunks(self, sequences: Listed[Sequence]) -> Float[Tensor, "sequences hidden"]:
        """Compute all that is not computed of these conversations; states behind their ends."""
        self._encode_pictures(sequences)
        states = self._runner.prefill([self._chunk(sequence) for sequence in sequences])
        for sequence in sequences:
            self._counts.prefilled_tokens += sequence.uncached
            sequence.cached = len(sequence.record.ids)
            sequence.cached_pictures = len(sequence.record.grids)
        return states

    def _encode_pictures(self, sequences: Listed[Sequence]) -> None:
        """Features of the pictures that have none."""
        new = [
            (sequence, place)
            for sequence in sequences
            for place in range(len(sequence.features), len(sequence.record.grids))
        ]
        if not new:
            return
        grids = torch.stack([sequence.record.grids[place] for sequence, place in new])
        pixels = torch.cat([sequence.record.pixels[place] for sequence, place in new])
        features = self._policy.picture_features(pixels, grids)
        tokens = grids.prod(dim=-1) // self._policy.chat.merge_size**2
        for (sequence, _), seen in zip(new, features.split(tokens.tolist()), strict=True):
            # On the host: they are wanted again only by a conversation that was put aside.
            sequence.features.append(seen.cpu())
        self._counts.encoded_pictures += len(new)

    def _chunk(self, sequence: Sequence) -> Chunk:
        record, first = sequence.record, sequence.cached
        ids = record.ids[first:]
        # An image token that the policy sampled is mere text.
        is_picture = torch.tensor(ids) == self._policy.chat.image_token_id
        is_picture &= ~torch.tensor(record.policy[first:])
        grids = record.grids[sequence.cached_pictures :]
        positions, sequence.position = mrope_positions(
            is_picture,
            torch.stack(grids) if grids else torch.zeros(0, 3, dtype=torch.int64),
            merge_size=self._policy.chat.merge_size,
            start=sequence.position,
        )
        features = sequence.features[sequence.cached_pictures :]
        return Chunk(
            ids=ids,
            positions=positions,
            features=torch.cat(features) if features else None,
            is_picture=is_picture,
            start=first,
            pages=sequence.pages,
        )

    def decode(self, sequences: Listed[Sequence]) -> Float[Tensor, "sequences hidden"]:
        """Compute the last token of these conversations; states behind it."""
        states = self._runner.decode(
            [sequence.record.ids[-1] for sequence in sequences],
            [sequence.position for sequence in sequences],
            [sequence.cached for sequence in sequences],
            [sequence.pages for sequence in sequences],
        )
        for sequence in sequences:
            sequence.cached += 1
            sequence.position += 1
        return states
