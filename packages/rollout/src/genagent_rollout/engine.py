"""Batched conversations with the key-value cache kept across rounds.

Tokens in, tokens out: what was sampled is fed on as sampled and kept with its log-prob; a
picture's observation is appended as tokens, with M-RoPE positions that continue where the
conversation stood. Nothing is ever rendered, encoded or prefilled twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from PIL import Image
from torch import Tensor

from genagent_policy import Policy, TokenTrajectory, mrope_positions, no_pictures
from genagent_rollout.cache import SlotCache
from genagent_rollout.sampling import SamplingConfig, SeededSampler, TokenSampler

AHEAD = 256
"""Columns of the cache are reserved for this many tokens of a turn at a time: a long turn may end
early, and a token of 256 conversations takes 15 MB with the 7B policy."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SampledTurn:
    """One turn as it was sampled."""

    ids: tuple[int, ...]
    """Its end-of-turn token included, where it has one."""
    text: str
    """The same without the end-of-turn token."""
    cut_off: bool
    """The turn, or the whole response, ran out of length before it ended."""


@dataclass(kw_only=True, slots=True)
class _Record:
    """The tokens of one conversation so far."""

    ids: list[int] = field(default_factory=list)
    policy: list[bool] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    pixels: list[Tensor] = field(default_factory=list)
    grids: list[Tensor] = field(default_factory=list)

    def extend(self, ids: Sequence[int], logprobs: Sequence[float] = ()) -> None:
        """Append sampled tokens, or the environment's where there are no log-probs."""
        self.ids.extend(ids)
        self.policy.extend([bool(logprobs)] * len(ids))
        self.logprobs.extend(logprobs or [0.0] * len(ids))


class RolloutEngine:
    """Starts batches of conversations with a policy."""

    def __init__(self, policy: Policy, config: SamplingConfig | None = None) -> None:
        self.policy = policy
        self.config = SamplingConfig() if config is None else config

    def start(self, prompts: Sequence[str], seeds: Sequence[int]) -> "Conversations":
        """Open one conversation for each prompt; equal prompts are prefilled once.

        Raises:
            ValueError: no prompts, not one seed for each, or more than ``max_batch``.
        """
        if not 1 <= len(prompts) <= self.config.max_batch:
            raise ValueError(
                f"{len(prompts)} prompts; wants 1 to {self.config.max_batch} (max_batch)"
            )
        if len(seeds) != len(prompts):
            raise ValueError(f"{len(prompts)} prompts and {len(seeds)} seeds; wants one for each")
        return Conversations(self.policy, self.config, prompts, self.sampler(seeds))

    def sampler(self, seeds: Sequence[int]) -> TokenSampler:
        """What chooses the tokens of conversations with these seeds."""
        return SeededSampler(seeds, self.config)


class Conversations:
    """Conversations in progress. Rows are numbered as the prompts were, for good.

    A round is ``sample``, then ``keep`` those that go on, then ``observe`` their pictures.
    Internally row ``r`` lives in a slot; slots ``0 .. n - 1`` are the live rows in some order.
    """

    def __init__(
        self,
        policy: Policy,
        config: SamplingConfig,
        prompts: Sequence[str],
        sampler: TokenSampler,
    ) -> None:
        self._policy = policy
        self._config = config
        self._sampler = sampler
        distinct = list(dict.fromkeys(prompts))
        encoded = {prompt: policy.chat.prompt_ids(prompt) for prompt in distinct}
        self._prompt_tokens = [len(encoded[prompt]) for prompt in prompts]
        self._records: list[_Record] = []
        for prompt in prompts:
            record = _Record()
            record.extend(encoded[prompt])
            self._records.append(record)
        text = policy.text_config
        self._cache = SlotCache(
            layers=text.num_hidden_layers,
            slots=len(distinct),
            heads=text.num_key_value_heads or text.num_attention_heads,
            head_dim=text.hidden_size // text.num_attention_heads,
            columns=max(len(ids) for ids in encoded.values()),
            device=policy.device,
            dtype=policy.dtype,
        )
        self._positions = torch.zeros(len(distinct), dtype=torch.int64, device=policy.device)
        with torch.inference_mode():
            nothing = no_pictures(policy.chat.patch_dim)
            states = self._feed([encoded[prompt] for prompt in distinct], *nothing)
            place = {prompt: slot for slot, prompt in enumerate(distinct)}
            sources = [place[prompt] for prompt in prompts]
            columns = self._cache.longest(len(distinct)) + min(config.max_turn_tokens, AHEAD)
            self._cache = self._cache.spread(sources, columns=columns)
            index = torch.tensor(sources, device=policy.device)
            self._states, self._positions = states[index], self._positions[index]
        # Tokens that were sampled but not yet fed, by slot.
        self._pending = np.full(len(prompts), -1)
        self._slot_rows = np.arange(len(prompts))

    @property
    def rows(self) -> list[int]:
        """The live rows, ascending."""
        return sorted(self._slot_rows.tolist())

    def next_logits(self) -> Float[Tensor, "live vocabulary"]:
        """Float32 logits of the live rows' next tokens, rows ascending; not after ``sample``,
        which leaves its last tokens to be fed together with the answer to them."""
        return self._logits(len(self._slot_rows))[torch.from_numpy(np.argsort(self._slot_rows))]

    def sample(self) -> dict[int, SampledTurn]:
        """Sample a turn of every live row, in lock-step; returns them by row."""
        left = self._response_left()
        tokens = np.full((len(self._records), self._config.max_turn_tokens), -1)
        logprobs = np.zeros(tokens.shape, dtype=np.float32)
        with torch.inference_mode():
            self._decode(tokens, logprobs, np.clip(left, 1, self._config.max_turn_tokens))
        turns = {}
        for row in self.rows:
            count = int((tokens[row] >= 0).sum())
            ids = tokens[row, :count].tolist()
            self._records[row].extend(ids, logprobs[row, :count].tolist())
            turns[row] = SampledTurn(
                ids=tuple(ids),
                text=self._policy.chat.decode(ids),
                cut_off=ids[-1] != self._policy.chat.turn_end_id or count > left[row],
            )
        return turns

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these live rows only; the others' tokens stay readable."""
        wanted = set(rows)
        if len(wanted) != len(rows) or not wanted <= set(self.rows):
            raise ValueError(f"cannot keep rows {sorted(rows)}; live are {self.rows}")
        with torch.inference_mode():
            self._bring_forward(np.isin(self._slot_rows, list(rows)))
        live = len(rows)
        self._slot_rows, self._pending = self._slot_rows[:live], self._pending[:live]
        self._positions, self._states = self._positions[:live], self._states[:live]

    def observe(self, pictures: Mapping[int, Image.Image]) -> None:
        """Append a picture to every live row, as the answer to the turn it has just ended.

        Args:
            pictures: by row.

        Raises:
            ValueError: not one picture for each live row, or a row whose turn has not ended.
        """
        rows = self._slot_rows.tolist()
        if set(pictures) != set(rows):
            raise ValueError(f"pictures for rows {sorted(pictures)}; live are {self.rows}")
        if not rows:
            return
        chat = self._policy.chat
        if unended := [
            row for row, token in zip(rows, self._pending, strict=True) if token != chat.turn_end_id
        ]:
            raise ValueError(f"rows {unended} have not ended a turn; drop them with keep()")
        pixels, grids = chat.encode_pictures([pictures[row] for row in rows])
        answers = [chat.observation_ids(grid) for grid in grids]
        for row, ids, patches, grid in zip(rows, answers, pixels, grids, strict=True):
            record = self._records[row]
            record.extend(ids)
            record.pixels.append(patches)
            record.grids.append(grid)
        with torch.inference_mode():
            self._states = self._feed(
                [[chat.turn_end_id, *ids] for ids in answers], torch.cat(pixels), grids
            )
        self._pending[:] = -1

    def tokens(self, row: int) -> TokenTrajectory:
        """Everything said in a conversation so far, exactly as it was sampled."""
        record = self._records[row]
        no_pixels, no_grids = no_pictures(self._policy.chat.patch_dim)
        return TokenTrajectory(
            ids=torch.tensor(record.ids),
            policy_mask=torch.tensor(record.policy),
            logprobs=torch.tensor(record.logprobs, dtype=torch.float32),
            pixel_values=torch.cat([no_pixels, *record.pixels]),
            grids=torch.stack(record.grids) if record.grids else no_grids,
            temperature=self._config.temperature,
        )

    def _response_left(self) -> list[int]:
        """How many more tokens each row's response may have; below 0 after a large picture."""
        return [
            self._config.max_response_tokens - (len(record.ids) - prompt)
            for record, prompt in zip(self._records, self._prompt_tokens, strict=True)
        ]

    def _decode(self, tokens: np.ndarray, logprobs: np.ndarray, limits: np.ndarray) -> None:
        """Fill in a turn of each live row, of at most ``limits[row]`` tokens; rows whose turn is
        over are no longer computed."""
        active = len(self._slot_rows)
        for step in range(self._config.max_turn_tokens if active else 0):
            if step % AHEAD == 0:
                more = min(AHEAD, self._config.max_turn_tokens - step)
                self._cache.reserve(self._cache.longest(active) + more)
            rows = self._slot_rows[:active]
            chosen, scores = self._sampler.choose(self._logits(active), rows, step)
            ids = chosen.cpu().numpy()
            tokens[rows, step], logprobs[rows, step] = ids, scores.cpu().numpy()
            self._pending[:active] = ids
            going_on = (ids != self._policy.chat.turn_end_id) & (step + 1 < limits[rows])
            if not going_on.any():
                break
            if not going_on.all():
                rest = np.zeros(len(self._slot_rows) - active, dtype=bool)
                self._bring_forward(np.concatenate([going_on, rest]))
                active = int(going_on.sum())
            self._step(active)

    def _logits(self, slots: int) -> Float[Tensor, "slots vocabulary"]:
        with torch.inference_mode():
            states = self._states[:slots]
            return torch.nn.functional.linear(states, self._policy.head_weight).float()

    def _step(self, active: int) -> None:
        """Feed the pending token of the first ``active`` slots."""
        policy = self._policy
        ids = torch.from_numpy(self._pending[:active]).to(policy.device)
        embeddings = policy.model.model.language_model.embed_tokens(ids)[:, None]
        positions = self._positions[None, :active, None].expand(3, -1, -1)
        mask = self._cache.prepare(active, 1, embeddings.dtype)
        states = policy.text_states(embeddings, positions, mask=mask, cache=self._cache)
        self._states[:active] = states[:, 0]
        self._cache.lengths[:active] += 1
        self._positions[:active] += 1

    def _feed(
        self,
        chunks: Sequence[Sequence[int]],
        pixel_values: UInt8[Tensor, "patches dim"],
        grids: Int64[Tensor, "pictures 3"],
    ) -> Float[Tensor, "rows hidden"]:
        """Prefill one chunk of tokens for each slot; returns the states behind their last ones.

        Either every chunk holds one picture or none does. Every image token in a chunk is one of a
        picture: prompts hold none, and the only sampled token of a chunk is the end of a turn.
        """
        policy, chat = self._policy, self._policy.chat
        rows, longest = len(chunks), max(len(chunk) for chunk in chunks)
        counts = torch.tensor([len(chunk) for chunk in chunks], device=policy.device)
        ids = torch.full((rows, longest), chat.pad_id)
        pictures = torch.zeros(rows, longest, dtype=torch.bool)
        positions = torch.zeros(3, rows, longest, dtype=torch.int64)
        starts = self._positions.tolist()
        for row, chunk in enumerate(chunks):
            ids[row, : len(chunk)] = torch.tensor(chunk)
            is_picture = ids[row, : len(chunk)] == chat.image_token_id
            placed, starts[row] = mrope_positions(
                is_picture,
                grids[row : row + 1],
                merge_size=chat.merge_size,
                start=starts[row],
            )
            positions[:, row, : len(chunk)] = placed
            pictures[row, : len(chunk)] = is_picture
        ids = ids.to(policy.device)
        embeddings = policy.embed(
            ids,
            pictures.to(policy.device),
            pixel_values,
            grids,
        )
        mask = self._cache.prepare(rows, longest, embeddings.dtype)
        states = policy.text_states(
            embeddings, positions.to(policy.device), mask=mask, cache=self._cache
        )
        self._cache.lengths[:rows] += counts
        self._positions = torch.tensor(starts, device=policy.device)
        return states[torch.arange(rows, device=policy.device), counts - 1]

    def _bring_forward(self, wanted: np.ndarray) -> None:
        """Swap slots so that the wanted ones come first, moving as few as possible."""
        front = int(wanted.sum())
        holes = np.flatnonzero(~wanted[:front])
        movers = front + np.flatnonzero(wanted[front:])
        if holes.size == 0:
            return
        self._cache.swap(holes.tolist(), movers.tolist())
        ours, theirs = np.concatenate([holes, movers]), np.concatenate([movers, holes])
        for by_slot in (self._slot_rows, self._pending):
            by_slot[ours] = by_slot[theirs]
        ours, theirs = (torch.from_numpy(side).to(self._policy.device) for side in (ours, theirs))
        for by_slot in (self._positions, self._states):
            by_slot[ours] = by_slot[theirs]
