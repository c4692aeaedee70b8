"""The seam to a model that looks at pictures and answers in words."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from PIL import Image


@dataclass(frozen=True, kw_only=True, slots=True)
class ChatRequest:
    """One system message and one user turn.

    Example: ``ChatRequest(system="You judge.", parts=(picture, "Is this a red circle?"))``
    """

    system: str
    parts: tuple[str | Image.Image, ...]
    """Words and pictures of the user turn, in order."""

    def __post_init__(self) -> None:
        if not self.parts:
            raise ValueError("parts is (); give a request at least one text or picture")


@dataclass(frozen=True, kw_only=True, slots=True)
class ChatReply:
    """What became of one request.

    Example: ``ChatReply(text="three. <verdict>yes</verdict>", attempts=1, model="judge")``
    """

    text: str | None
    """The accepted words; None where none could be had."""
    attempts: int
    """How often the model was asked."""
    model: str
    error: str | None = None
    """Why there is no text."""
    raw: str = ""
    """The accepted words, or those that were refused to the last; none where it was given up for
    another reason."""


class ChatModel(Protocol):
    """Answers requests about pictures."""

    @property
    def name(self) -> str:
        """Tells models apart whose answers differ; part of each cached verdict's key."""
        ...

    def reply(
        self,
        requests: Sequence[ChatRequest],
        *,
        accept: Callable[[str], bool],
        arrived: Callable[[int, ChatReply], None] | None = None,
    ) -> list[ChatReply]:
        """One reply a request, in order.

        Words that ``accept`` refuses are asked for again at a raised temperature; where the tries
        run out, and for any other failure of one request, its text is None. ``arrived`` hears of
        each reply as it comes, with its place and perhaps on another thread, so that what was
        paid for can be kept at once.

        Raises:
            ValueError: the configuration is wrong, so that no request can succeed.
        """
        ...


@runtime_checkable
class AsyncChatModel(Protocol):
    """A chat model that is asked one by one, as endpoints want it, where many wait side by side."""

    @property
    def name(self) -> str:
        """See ``ChatModel``."""
        ...

    async def reply_one(self, request: ChatRequest, *, accept: Callable[[str], bool]) -> ChatReply:
        """One reply, from any event loop; else as ``ChatModel.reply``."""
        ...
