"""A chat model in this process, with Hugging Face's processor and ``generate``.

Replies are greedy at first. What is refused or cut off is sampled again with noise that depends on
the seed, the request and the try only, so that no reply depends on what it is batched with (up to
the rounding of padded batches).
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from genagent_rewards.chat import ChatReply, ChatRequest
from genagent_rewards.picture import Picture
from genagent_rewards.seeded_noise import SeededNoise
from genagent_weights import load_whole, reading

# Qwen-VL's default: a token shows 28x28 pixels. Only for sorting by length.
_PIXELS_A_TOKEN = 28 * 28


class LocalChat:
    """Batched generation with a vision-language model, e.g. the miniature's judge."""

    def __init__(
        self,
        model: Any,
        processor: Any,
        *,
        name: str,
        max_tokens: int = 512,
        batch_size: int = 64,
        max_attempts: int = 3,
        retry_temperature: float = 0.7,
        seed: int = 0,
    ) -> None:
        """A model with ``generate`` and its processor, which must have a chat template.

        Args:
            name: tells models apart in cached verdicts.
            max_tokens: of one reply; one that does not end by then is refused.
            batch_size: requests generated together.
            max_attempts: for one request; the first is greedy.
            retry_temperature: of the others.
            seed: of the others.
        """
        sizes = {"max_tokens": max_tokens, "batch_size": batch_size, "max_attempts": max_attempts}
        for key, value in sizes.items():
            if value < 1:
                raise ValueError(f"{key} is {value}; wants at least 1")
        if not 0 < retry_temperature <= 2:
            raise ValueError(f"retry_temperature is {retry_temperature}; wants above 0, at most 2")
        if not processor.chat_template:
            raise ValueError(f"the processor of {name} has no chat template; save it with one")
        self.name = name
        self.model = model
        self.processor = processor
        self.max_tokens = max_tokens
        self.batch_size = batch_size
        self.max_attempts = max_attempts
        self.retry_temperature = retry_temperature
        self.seed = seed
        tokens = processor.tokenizer.added_tokens_decoder.values()
        self._control = [token.content for token in tokens if token.special]

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        device: str = "cpu",
        max_tokens: int = 512,
        batch_size: int = 64,
        max_attempts: int = 3,
        retry_temperature: float = 0.7,
        seed: int = 0,
    ) -> "LocalChat":
        """A saved model and processor: float32 on a CPU, elsewhere as they were saved.

        The name is the folder's with a digest of its files, so that a model trained anew does not
        answer from its predecessor's cache.

        Raises:
            ValueError: no model folder there, one that is damaged or lacks weights, or a size out
                of range.
        """
        folder = Path(path)
        if not (folder / "config.json").is_file():
            raise ValueError(f"{folder} holds no config.json; give the folder of a saved model")
        from transformers import AutoModelForImageTextToText, AutoProcessor

        own = {"trust_remote_code": False}
        dtype = "float32" if device == "cpu" else "auto"
        model = load_whole(AutoModelForImageTextToText, folder, dtype=dtype, **own)
        with reading(folder):
            processor = AutoProcessor.from_pretrained(folder, local_files_only=True, **own)
        return cls(
            model.to(device).eval(),
            processor,
            name=f"{folder.name}@{_folder_digest(folder)[:12]}",
            max_tokens=max_tokens,
            batch_size=batch_size,
            max_attempts=max_attempts,
            retry_temperature=retry_temperature,
            seed=seed,
        )

    def reply(
        self,
        requests: Sequence[ChatRequest],
        *,
        accept: Callable[[str], bool],
        arrived: Callable[[int, ChatReply], None] | None = None,
    ) -> list[ChatReply]:
        """As ``ChatModel.reply``; ``arrived`` hears of the replies after each batch."""
        replies: dict[int, ChatReply] = {}
        waiting = sorted(range(len(requests)), key=lambda place: self._length(requests[place]))
        for attempt in range(1, self.max_attempts + 1):
            refused: list[int] = []
            for start in range(0, len(waiting), self.batch_size):
                places = waiting[start : start + self.batch_size]
                answers = self._generate([requests[place] for place in places], attempt)
                for place, (text, error, may_pass) in zip(places, answers, strict=True):
                    if error is None and not accept(text):
                        error = "the reply was refused"
                    if error is not None and may_pass and attempt < self.max_attempts:
                        refused.append(place)
                        continue
                    replies[place] = ChatReply(
                        text=text if error is None else None,
                        attempts=attempt,
                        model=self.name,
                        error=error,
                        raw=text,
                    )
                    if arrived is not None:
                        arrived(place, replies[place])
            waiting = refused
        return [replies[place] for place in range(len(requests))]

    def _length(self, request: ChatRequest) -> int:
        """About how many tokens the request has."""
        return len(request.system) // 4 + sum(
            len(part) // 4 if isinstance(part, str) else part.width * part.height // _PIXELS_A_TOKEN
            for part in request.parts
        )

    def _generate(
        self, requests: Sequence[ChatRequest], attempt: int
    ) -> list[tuple[str, str | None, bool]]:
        """For each request its text, its error, and whether another try may mend it."""
        import torch
        from transformers import GenerationConfig, LogitsProcessorList

        from genagent_rewards.growing_cache import growing_cache

        inputs = self._inputs(requests)
        lengths = inputs["attention_mask"].sum(dim=1).tolist()
        room = self.model.config.get_text_config().max_position_embeddings - self.max_tokens
        if max(lengths) > room:
            return self._without_long(requests, attempt, lengths, room)
        ends = self.model.generation_config.eos_token_id
        if ends is None:
            ends = self.processor.tokenizer.eos_token_id
        config = GenerationConfig(
            max_new_tokens=self.max_tokens,
            do_sample=False,
            # A model's own file may set what is meant for chatting, e.g. 1.05.
            repetition_penalty=1.0,
            eos_token_id=ends,
            pad_token_id=self.processor.tokenizer.pad_token_id,
        )
        noise = LogitsProcessorList()
        if attempt > 1:
            seeds = [_noise_seed(request, self.seed, attempt) for request in requests]
            noise.append(SeededNoise(seeds, self.retry_temperature))
        with torch.inference_mode():
            ids = self.model.generate(
                **inputs,
                generation_config=config,
                logits_processor=noise,
                past_key_values=growing_cache(self.model),
            )
        ids = ids[:, inputs["input_ids"].shape[1] :]
        texts = self.processor.batch_decode(ids, skip_special_tokens=True)
        end_ids = torch.tensor(ends, device=ids.device).reshape(-1)
        has_ended = torch.isin(ids, end_ids).any(dim=1).tolist()
        cut_off = f"cut off after {self.max_tokens} tokens"
        return [
            (text.strip(), None if ended else cut_off, True)
            for text, ended in zip(texts, has_ended, strict=True)
        ]

    def _without_long(
        self, requests: Sequence[ChatRequest], attempt: int, lengths: Sequence[int], room: int
    ) -> list[tuple[str, str | None, bool]]:
        fitting = [
            request for request, length in zip(requests, lengths, strict=True) if length <= room
        ]
        answers = iter(self._generate(fitting, attempt) if fitting else ())
        return [
            next(answers)
            if length <= room
            else (
                "",
                f"the request has {length} tokens; {room} leave {self.max_tokens} to answer",
                False,
            )
            for length in lengths
        ]

    def _inputs(self, requests: Sequence[ChatRequest]) -> Any:
        turns = [self._messages(request) for request in requests]
        texts = self.processor.apply_chat_template(turns, add_generation_prompt=True)
        pictures = [
            part.convert("RGB")
            for request in requests
            for part in request.parts
            if isinstance(part, Image.Image)
        ]
        inputs = self.processor(
            text=texts,
            images=pictures or None,
            padding=True,
            padding_side="left",
            return_tensors="pt",
        )
        return inputs.to(self.model.device)

    def _messages(self, request: ChatRequest) -> list[dict[str, Any]]:
        content = [
            {"type": "text", "text": self._disarmed(part)}
            if isinstance(part, str)
            else {"type": "image"}
            for part in request.parts
        ]
        system = [{"role": "system", "content": [{"type": "text", "text": request.system}]}]
        return [*(system if request.system else ()), {"role": "user", "content": content}]

    def _disarmed(self, text: str) -> str:
        """Without control tokens: a request cannot end its turn or claim a picture."""
        for token in self._control:
            text = text.replace(token, f"{token[0]} {token[1:]}")
        return text


def _noise_seed(request: ChatRequest, seed: int, attempt: int) -> int:
    parts = [part if isinstance(part, str) else Picture.of(part).name for part in request.parts]
    key = json.dumps([seed, attempt, request.system, parts])
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") >> 1


def _folder_digest(folder: Path) -> str:
    """Sha256 over the names and bytes of the files that make a model what it is."""
    digest = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        if file.suffix in (".json", ".jinja", ".safetensors", ".txt"):
            digest.update(f"{file.name} {file.stat().st_size} ".encode())
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()
