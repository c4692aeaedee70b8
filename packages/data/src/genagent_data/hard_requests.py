"""Hard requests that a chat model writes, each with the checklist of its judge."""

import json
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from genagent_data.prompt_files import read_prompt
from genagent_data.request import Request
from genagent_data.request_rows import request_of
from genagent_data.seeds import derive_seed
from genagent_rewards import ChatModel, ChatRequest

PROMPT = "hard_requests"
AT_ONCE = 10
"""Requests of one reply; of more, a model writes variations of the first."""
EXAMPLES = 4
"""Shown in one question, other ones in each, so that replies differ at temperature 0 too."""
LONGEST = 100
"""Words of a request, of which 60 are asked for."""
MOST_HINTS = 8

_REPLY = re.compile(r"<requests>(.*)</requests>\s*", re.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True)
class HardRequests:
    """What a chat model wrote.

    Example: ``HardRequests(requests=(request,), missing=9, errors=("no answer for 30 s",))``
    """

    requests: tuple[Request, ...]
    missing: int
    """How many more were asked for."""
    errors: tuple[str, ...]
    """Why, a line for each question that was left without a usable answer."""


def write_hard_requests(
    chat: ChatModel, *, seeds: Sequence[Request], each: int, seed: int
) -> HardRequests:
    """Have new requests written, of every task type of the ones given.

    Ids are ``hard-SEED/TASK/NUMBER``; a number whose request is missing is left out. What is asked
    follows from the arguments and the prompt's version alone. Nothing is removed that
    resembles the seeds or comes twice: that is ``prompt_pool``'s business.

    Args:
        seeds: examples, of which every one has hints.
        each: requests of each task type.

    Raises:
        ValueError: there are no seeds, one has no hints, or ``each`` is not positive; or the chat
            model is configured wrongly.
    """
    if each < 1:
        raise ValueError(f"each is {each}; ask for at least one request of a type")
    if not seeds:
        raise ValueError("there are no seeds; give at least one request with hints")
    for request in seeds:
        if not request.hints:
            raise ValueError(
                f"seed {request.id!r} has no hints; give those that a picture of it is judged by"
            )
    tasks = dict.fromkeys(request.task for request in seeds)
    plan = [
        (task, first, min(AT_ONCE, each - first))
        for task in tasks
        for first in range(0, each, AT_ONCE)
    ]
    questions = [
        _question([s for s in seeds if s.task == task], number, derive_seed(seed, task, first))
        for task, first, number in plan
    ]
    replies = chat.reply(questions, accept=lambda text: not isinstance(_read(text), str))
    requests: list[Request] = []
    errors: list[str] = []
    for (task, first, number), reply in zip(plan, replies, strict=True):
        written = reply.error or "no answer" if reply.text is None else _read(reply.text)
        if isinstance(written, str):
            errors.append(f"{task}, {first + 1} to {first + number}: {written}")
            continue
        requests += [
            replace(request, id=f"hard-{seed}/{task}/{first + place}", task=task)
            for place, request in enumerate(written[:number], start=1)
        ]
    return HardRequests(
        requests=tuple(requests),
        missing=each * len(tasks) - len(requests),
        errors=tuple(errors),
    )


def _question(seeds: Sequence[Request], number: int, seed: int) -> ChatRequest:
    shown = random.Random(seed).sample(seeds, min(EXAMPLES, len(seeds)))
    lines = [
        json.dumps({"prompt": request.prompt, "hints": request.hints}, ensure_ascii=False)
        for request in shown
    ]
    prompt = read_prompt(PROMPT, "task", "number", "examples")
    text = prompt.ask(task=seeds[0].task, number=str(number), examples="\n".join(lines))
    return ChatRequest(system=prompt.system, parts=(text,))


def _read(reply: str) -> list[Request] | str:
    """The requests of a reply, or what is wrong with it."""
    found = _REPLY.fullmatch(reply[max(reply.rfind("<requests>"), 0) :])
    if found is None:
        return "the reply does not end with <requests>…</requests>"
    try:
        entries = json.loads(found[1])
        if not isinstance(entries, list) or not entries:
            return "between <requests> and </requests> is no array of requests"
        return [_request(entry) for entry in entries]
    except (ValueError, RecursionError) as error:
        return f"between <requests> and </requests>: {error}"


def _request(entry: object) -> Request:
    if not isinstance(entry, dict) or sorted(entry) != ["hints", "prompt"]:
        raise ValueError(f'wants objects of "prompt" and "hints", has {str(entry)[:60]!r}')
    request = request_of(entry, default_id="written", picture=str)
    if not 1 <= len(request.hints) <= MOST_HINTS:
        raise ValueError(f"{len(request.hints)} hints for {request.prompt[:60]!r}")
    if len(request.prompt.split()) > LONGEST:
        raise ValueError(f"{len(request.prompt.split())} words: {request.prompt[:60]!r}…")
    return request
