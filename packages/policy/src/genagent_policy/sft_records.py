"""Records as the policy is taught them: how long each is, and their tokens ahead of time."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch

from genagent_data import Record, parse_turn, render_turn
from genagent_policy.chat import ChatFormat
from genagent_policy.model import Policy
from genagent_policy.sft_config import SFTConfig
from genagent_policy.tokens import TokenTrajectory


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordSize:
    """What a record comes to in tokens."""

    tokens: int
    policy_tokens: int
    """Of these, the agent's."""


def record_size(policy: Policy, record: Record) -> RecordSize:
    """The length of ``render_record`` without its pixels: of a picture's file only the header is
    read, 0.1 ms where decoding 1024x1024 pixels takes 20. Raises OSError where it cannot be."""
    chat, processor = policy.chat, policy.processor.image_processor
    turns = sum(len(chat.turn_ids(text)) for text in _turns(chat, record))
    tokens = turns + len(chat.prompt_ids(record.request.prompt))
    for picture in record.pictures:
        width, height = picture.size
        patches = processor.get_number_of_image_patches(height, width)
        tokens += len(chat.observation_ids(torch.tensor([1, 1, patches])))
    return RecordSize(tokens=tokens, policy_tokens=turns)


def render_record(chat: ChatFormat, record: Record) -> TokenTrajectory:
    """Tokens and pixels; the record itself is left without pixels, which it would keep."""
    pictures = [copy(picture).image for picture in record.pictures]
    return chat.render(_turns(chat, record), record.request.prompt, pictures)


def _turns(chat: ChatFormat, record: Record) -> Sequence[str]:
    """Its turns as this policy says them: calls in its own syntax, broken turns to the letter.

    Raises:
        ValueError: its syntax cannot hold a prompt.
    """
    if chat.tool_syntax == "hermes":
        return record.turns
    rounds = len(record.turns)
    parsed = [
        parse_turn(text, images_so_far=place, max_rounds=rounds)
        for place, text in enumerate(record.turns)
    ]
    return [
        text if turn.error is not None else render_turn(turn, syntax=chat.tool_syntax)
        for text, turn in zip(record.turns, parsed, strict=True)
    ]


@runtime_checkable
class Records(Protocol):
    """Records by number: a list of them, or a ``RecordFolder`` that reads them from disk."""

    def __getitem__(self, number: int, /) -> Record: ...


class RecordSet:
    """Records that fit into the policy's context, read and rendered as they are needed."""

    def __init__(
        self, policy: Policy, records: Records, numbers: Sequence[int], config: SFTConfig
    ) -> None:
        """Measures every record.

        Args:
            numbers: those of ``records`` that are meant.

        Raises:
            ValueError: none of them fits, or one is refused.
            OSError: a record or a picture cannot be read.
        """
        self._chat = policy.chat
        self._threads = config.render_threads
        context = policy.text_config.max_position_embeddings
        self.limit = min(context, config.max_record_tokens or context)
        """Tokens of a record."""
        with ThreadPoolExecutor(self._threads) as threads:
            sizes = list(threads.map(lambda number: record_size(policy, records[number]), numbers))
        fitting = [place for place, size in enumerate(sizes) if size.tokens <= self.limit]
        self._records = records
        self.numbers = [numbers[place] for place in fitting]
        self.sizes = [sizes[place] for place in fitting]
        self.dropped = len(numbers) - len(fitting)
        """Records that were longer."""
        if not fitting:
            raise ValueError(
                f"all {len(numbers)} records are longer than {self.limit} tokens, the shortest "
                f"{min(size.tokens for size in sizes)}; give shorter ones, or smaller pictures by "
                "--max-pixels"
            )

    def __str__(self) -> str:
        left_out = f" ({self.dropped} left out, longer than {self.limit} tokens)"
        return f"{len(self.numbers)} records{left_out if self.dropped else ''}"

    @contextmanager
    def rendering(
        self, parts: Iterable[Sequence[int]]
    ) -> Iterator[Iterator[list[TokenTrajectory]]]:
        """The records at the places of each part, part after part, rendered ahead in threads.

        Example: ``with records.rendering([[3, 1], [0]]) as parts: first = next(parts)``
        """

        def render(part: Sequence[int]) -> list[TokenTrajectory]:
            return [render_record(self._chat, self._records[self.numbers[place]]) for place in part]

        def rendered() -> Iterator[list[TokenTrajectory]]:
            waiting: deque[Future[list[TokenTrajectory]]] = deque()
            for part in parts:
                waiting.append(threads.submit(render, part))
                if len(waiting) > self._threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

        threads = ThreadPoolExecutor(self._threads)
        try:
            yield rendered()
        finally:
            threads.shutdown(cancel_futures=True)
