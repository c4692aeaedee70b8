"""Prompts that cannot be answered, found before anything loads. Nothing here loads torch."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from genagent_data import Request, read_requests, system_message
from genagent_tracking.printable import one_line

FRAME = 16
"""Tokens of the chat's own around system message and prompt; Qwen2.5-VL takes 13."""


def prompt_problem(prompt: str) -> str | None:
    """What is wrong with the words of a request; None where nothing is."""
    if not prompt.strip():
        return "the prompt is empty; say what to draw"
    if "\0" in prompt:
        return f"the prompt holds a NUL character at {prompt.index(chr(0))}; take it out"
    if half := re.search("[\ud800-\udfff]", prompt):
        return (
            f"the prompt holds {half[0]!r} at {half.start()}, which is no character; write it in "
            "UTF-8"
        )
    return None


def asked(prompt: str, file: Path | None) -> list[Request]:
    """The one request of ``prompt``, which goes by its own words, or those of ``file``.

    Raises:
        ValueError: neither is given or both are, the prompt cannot be asked, or a line of the file
            is broken.
        OSError: the file cannot be read.
    """
    if file is None:
        if not prompt:
            raise ValueError('no prompt; give one, "a photo of five clocks", or a --file of them')
        if problem := prompt_problem(prompt):
            raise ValueError(problem)
        return [Request(id=prompt, prompt=prompt)]
    if prompt:
        raise ValueError(f"both a prompt and --file {file}; give one of them")
    return read_requests(file)


def request_problems(
    requests: Sequence[Request], policy: Path, *, words: int | None, turn_tokens: int
) -> Iterator[str]:
    """A line for each request that the policy cannot read.

    Args:
        policy: its checkpoint folder; configuration and tokenizer are read, no weight is.
        words: as the agent is told, see ``system_message``.
        turn_tokens: that are left for a turn.

    Raises:
        ValueError: the folder has no readable tokenizer.
    """
    config = json.loads((policy / "config.json").read_text(encoding="utf-8"))
    # Published checkpoints of Qwen2.5-VL have the language model's sizes at the top.
    sizes = config | config.get("text_config", {})
    context: int = sizes["max_position_embeddings"]
    # Bytes where the tokenizer is not asked: a token has one or more.
    longest = max((len(r.prompt.encode(errors="replace")) for r in requests), default=0)
    system = system_message(words=words)
    fits = longest + len(system.encode()) + FRAME + turn_tokens <= context
    tokenizer = None if fits else _tokenizer(policy)
    taken = (
        0
        if tokenizer is None
        else len(tokenizer.encode(system, add_special_tokens=False).ids) + FRAME + turn_tokens
    )
    for request in requests:
        problem = prompt_problem(request.prompt)
        if problem is None and tokenizer is not None:
            tokens = len(tokenizer.encode(request.prompt, add_special_tokens=False).ids)
            if tokens > context - taken:
                problem = (
                    f"the prompt has {tokens} tokens, and the policy has room for "
                    f"{max(0, context - taken)} (its context is {context}, instructions and a turn "
                    f"take {taken}); shorten it"
                )
        if problem is not None:
            yield f"{one_line(request.id, limit=60)}: {problem}"


def _tokenizer(policy: Path):
    from tokenizers import Tokenizer

    file = policy / "tokenizer.json"
    if not file.is_file():
        return None  # from its older files the policy itself will make one
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises no narrower one
        raise ValueError(f"{policy}: tokenizer.json cannot be read ({error})") from error
    # As the chat's framing does: what a prompt writes is text and never a control token.
    tokenizer.encode_special_tokens = True
    return tokenizer
