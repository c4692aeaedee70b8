"""The engine in this process: continuous batching by conversation, every token computed once.

Tokens in, tokens out: what was sampled is fed on as sampled and kept with its log-prob; a picture's
observation is appended as tokens, with M-RoPE positions that continue where the conversation
stood. A conversation that waits for a picture is in no batch, and its keys and values stay.
"""

import asyncio
import time
from collections.abc import Sequence as Listed

import torch
from torch import Tensor

from genagent_kernels import Backend
from genagent_policy import Policy, TokenTrajectory
from genagent_rewards import Picture
from genagent_rollout.config import SamplingConfig
from genagent_rollout.conversation import SampledTurn
from genagent_rollout.engine_config import EngineConfig
from genagent_rollout.model_runner import ModelRunner
from genagent_rollout.page_storage import bytes_of_a_token
from genagent_rollout.pages import PagePool
from genagent_rollout.passes import EngineCounts, Passes
from genagent_rollout.record import TokenRecord
from genagent_rollout.sampling import SeededSampler, TokenSampler
from genagent_rollout.scheduler import Scheduler
from genagent_rollout.sequence import Sequence

GIB = 2**30


class LocalEngine:
    """Conversations with a policy in this process."""

    def __init__(
        self,
        policy: Policy,
        sampling: SamplingConfig | None = None,
        config: EngineConfig | None = None,
        *,
        sampler: TokenSampler | None = None,
        backend: Backend | None = None,
    ) -> None:
        """
        Args:
            sampler: chooses the tokens; by default as ``sampling`` says.
            backend: of the kernels; None: Triton on a GPU, PyTorch elsewhere.

        Raises:
            ValueError: the cache holds not even one page.
        """
        self.policy = policy
        self.sampling = SamplingConfig() if sampling is None else sampling
        self.config = EngineConfig() if config is None else config
        self.counts = EngineCounts()
        self._sampler = (
            SeededSampler(self.sampling, backend=backend) if sampler is None else sampler
        )
        page_tokens = self.config.page_tokens or (64 if policy.device.type == "cuda" else 512)
        page_bytes = page_tokens * bytes_of_a_token(policy)
        cache_bytes = _cache_bytes(self.config, policy.device)
        pages = cache_bytes // page_bytes
        if pages < 1:
            raise ValueError(
                f"--engine.cache-gib is {cache_bytes / GIB:.3g}, and a page of {page_tokens} "
                f"tokens takes {page_bytes / GIB:.3g}; give more"
            )
        self._capacity = pages * page_tokens
        self._runner = ModelRunner(policy, pages=pages, page_tokens=page_tokens, backend=backend)
        self._passes = Passes(policy, self._runner, self.counts)
        self._scheduler = Scheduler(
            PagePool(pages),
            page_tokens=page_tokens,
            max_batch=self.sampling.max_batch,
            max_chunk_tokens=self.config.chunk_tokens,
        )
        self._opened = 0
        self._beginning: list[Sequence] = []
        self._steps: asyncio.Task[None] | None = None

    def open(self, prompt: str, *, seed: int, first_seed: int | None = None) -> "LocalConversation":
        record = TokenRecord(prompt, self.policy.chat, self.sampling)
        longest = record.prompt_tokens + self.sampling.max_response_tokens
        if longest > self._capacity:
            raise ValueError(
                f"a conversation may grow to {longest} tokens (a prompt of {record.prompt_tokens} "
                f"and max_response_tokens {self.sampling.max_response_tokens}), and the cache "
                f"holds {self._capacity}; raise --engine.cache-gib or lower the other"
            )
        sequence = Sequence(
            number=self._opened,
            seed=seed,
            first_seed=first_seed,
            prompt=tuple(record.ids),
            record=record,
        )
        self._opened += 1
        self._scheduler.open(sequence)
        return LocalConversation(self, sequence)

    def publish(self) -> None:
        """Forget all that the earlier weights have computed; what is open computes it again."""
        self._scheduler.forget_all()

    def begin_turn(self, sequence: Sequence) -> "asyncio.Future[SampledTurn]":
        """A turn of this conversation, as soon as it is sampled."""
        loop = asyncio.get_running_loop()
        sequence.turn = loop.create_future()
        self._beginning.append(sequence)
        if self._steps is None or self._steps.done():
            self._steps = loop.create_task(self._step_until_idle())
            self._steps.add_done_callback(self._fail_turns)
        return sequence.turn

    def show(self, sequences: Listed[Sequence]) -> None:
        """Take in the pictures that these conversations were shown, all at once."""
        shown = [sequence.shown for sequence in sequences if sequence.shown is not None]
        pixels, grids = self.policy.chat.encode_pictures([picture.image for picture in shown])
        answered = [sequence for sequence in sequences if sequence.shown is not None]
        for sequence, patches, grid in zip(answered, pixels, grids, strict=True):
            sequence.record.observe(patches, grid)
            sequence.shown = None

    def close(self, sequence: Sequence) -> None:
        """Give up a conversation's pages."""
        if sequence in self._beginning:
            self._beginning.remove(sequence)
        self._scheduler.close(sequence)
        if sequence.turn is not None:
            sequence.turn.cancel()
            sequence.turn = None

    async def _step_until_idle(self) -> None:
        while self._beginning or self._scheduler.waiting:
            started = time.perf_counter()
            with torch.inference_mode():
                self._begin_turns()
                if self._scheduler.waiting:
                    self._step()
            self.counts.seconds += time.perf_counter() - started
            # Whoever has a turn now goes on, and may ask for the next before the next step.
            await asyncio.sleep(0)

    def _fail_turns(self, steps: "asyncio.Task[None]") -> None:
        """No turn waits for steps that have failed."""
        error = None if steps.cancelled() else steps.exception()
        if error is None and not steps.cancelled():
            # They had nothing left to do; who has asked since then has steps of its own.
            return
        if error is not None:
            # What a broken step has written is not known.
            self._scheduler.forget_all()
        waiting = [*self._beginning, *self._scheduler.waiting]
        self._beginning = []
        for sequence in waiting:
            self._scheduler.has_turn(sequence)
            turn, sequence.turn = sequence.turn, None
            if turn is None or turn.done():
                continue
            # An interrupt ends the event loop by itself.
            if isinstance(error, Exception):
                turn.set_exception(error)
            else:
                turn.cancel()

    def _begin_turns(self) -> None:
        self.show(self._beginning)
        beginning, self._beginning = self._beginning, []
        for sequence in beginning:
            if sequence.turn is None or sequence.turn.done():
                sequence.turn = None
                continue
            tokens = len(sequence.record.ids)
            if tokens >= self._capacity:
                sequence.turn.set_exception(
                    ValueError(
                        f"a conversation has grown to {tokens} tokens by a large picture, and the "
                        f"cache holds {self._capacity}; raise --engine.cache-gib"
                    )
                )
                sequence.turn = None
                continue
            sequence.turn_limit = sequence.record.begin_turn()
            self._scheduler.wants_turn(sequence)

    def _step(self) -> None:
        started = time.perf_counter()
        step = self._scheduler.next()
        self.counts.scheduling_seconds += time.perf_counter() - started
        self.counts.put_aside = self._scheduler.put_aside
        for copy in step.copies:
            self._runner.stored.copy([copy.source], [copy.target], copy.tokens)
        if step.prompts:
            self._passes.prompts(step.prompts)
        elif step.chunks:
            self._sample(step.chunks, self._passes.chunks(step.chunks))
        else:
            ready = [sequence for sequence in step.decodes if sequence.state is not None]
            rest = [sequence for sequence in step.decodes if sequence.state is None]
            states = [sequence.state for sequence in ready if sequence.state is not None]
            stacked = [torch.stack(states)] if states else []
            if rest:
                stacked.append(self._passes.decode(rest))
            self._sample([*ready, *rest], torch.cat(stacked))

    def _sample(self, sequences: Listed[Sequence], states: Tensor) -> None:
        """The next token of each conversation, from the states behind their last ones."""
        tokens, logprobs = self._sampler.choose(self._runner.logits(states), sequences)
        self.counts.decoded_tokens += len(sequences)
        for sequence, token, logprob in zip(
            sequences, tokens.tolist(), logprobs.tolist(), strict=True
        ):
            record = sequence.record
            record.sampled(token, logprob)
            sequence.state = None
            if record.ends_turn(token) or sequence.turn_tokens >= sequence.turn_limit:
                self._scheduler.has_turn(sequence)
                turn, sequence.turn = sequence.turn, None
                if turn is not None and not turn.done():
                    turn.set_result(record.turn())


class LocalConversation:
    """A conversation of a ``LocalEngine``."""

    def __init__(self, engine: LocalEngine, sequence: Sequence) -> None:
        self._engine = engine
        self._sequence = sequence
        self._closed = False

    async def turn(self) -> SampledTurn:
        """
        Raises:
            ValueError: the conversation is closed, a turn is being sampled, or the last one has not
                been answered by a picture.
        """
        sequence, record = self._sequence, self._sequence.record
        answered = sequence.shown is not None or not record.policy[-1]
        if self._closed or sequence.turn is not None or not answered:
            raise ValueError("a turn follows the prompt or a picture, in an open conversation")
        return await self._engine.begin_turn(sequence)

    def observe(self, picture: Picture) -> None:
        sequence, record = self._sequence, self._sequence.record
        spoken = record.policy[-1] and sequence.shown is None
        if not spoken or sequence.turn is not None or not record.ends_turn(record.ids[-1]):
            raise ValueError("a picture answers a turn that has ended; this one has not")
        sequence.shown = picture

    def tokens(self) -> TokenTrajectory:
        if self._sequence.shown is not None:
            self._engine.show([self._sequence])
        return self._sequence.record.tokens()

    def close(self) -> None:
        self._closed = True
        self._engine.close(self._sequence)


def _cache_bytes(config: EngineConfig, device: torch.device) -> int:
    if config.cache_gib is not None:
        return int(config.cache_gib * GIB)
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory // 5
    return 2 * GIB
