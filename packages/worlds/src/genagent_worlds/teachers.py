"""Who teaches: models behind OpenAI-compatible endpoints, for each part of the writing its own."""

from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

import tyro

from genagent_data import ChatTeacher, Teacher, read_teacher_prompts
from genagent_rewards import ChatModel, KeptAnswers, KeptChat, OpenAIChat, OpenAIChatConfig
from genagent_worlds.probes import chat_probes, look
from genagent_worlds.service_names import body_fields, default_key_env, urls_of

PARTS = ("open", "judge", "reflect")
REPLIES = "replies.sqlite"
"""A teacher's words in the folder of a synthesis."""


class TeacherConfig(Protocol):
    """A teacher as options."""

    def problems(self) -> list[str]:
        """What keeps it from working, a line each; endpoints are asked."""
        ...

    def load(self, work: Path, *, words: int | None) -> Teacher:
        """The teacher, whose words are kept in ``work``.

        Args:
            words: of a prompt that the tool reads.

        Raises:
            ValueError: it cannot be had.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class TeacherEndpoints:
    """One model. Example: TeacherEndpoints(urls="http://gpu1:8000/v1", model="qwen")"""

    urls: str = ""
    """OpenAI-compatible endpoints (http://host:8000/v1, several with commas between)."""
    model: str = ""
    """Name by which they know it."""
    token_env: str | None = None
    """Environment variable with their key; OPENAI_API_KEY by default where all are https."""
    concurrency: int = 32
    """Questions in flight over all endpoints."""
    tokens: int = 8192
    """Most tokens of one reply, thoughts included."""
    temperature: float = 0.7
    """A teacher that always says the same teaches little."""
    seconds: float = 600.0
    """For one reply."""
    body: str = ""
    """Further fields of each question, as a JSON object
    ({"chat_template_kwargs": {"enable_thinking": false}}); null leaves a field out."""

    def over(self, base: "TeacherEndpoints", *, plain: "TeacherEndpoints") -> "TeacherEndpoints":
        """``base`` in all that this one has no other than ``plain``. A key and further fields that
        are named for the base go to no other endpoints than the base's."""
        changed: dict[str, Any] = {
            key.name: getattr(self, key.name)
            for key in fields(TeacherEndpoints)
            if getattr(self, key.name) != getattr(plain, key.name)
        }
        if changed.get("urls", base.urls) != base.urls:
            changed.setdefault("token_env", None)
            changed.setdefault("body", "")
        return replace(base, **changed)

    def chat(self) -> OpenAIChatConfig:
        """Raises ValueError for a URL or a bound that cannot be."""
        return OpenAIChatConfig(
            base_urls=urls_of(self.urls),
            model=self.model,
            api_key_env=self.token_env or default_key_env(self.urls),
            max_concurrency=self.concurrency,
            max_tokens=self.tokens,
            temperature=self.temperature,
            timeout_seconds=self.seconds,
            deadline_seconds=4 * self.seconds,
            extra_body=body_fields("body", self.body),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ChatTeachers:
    """Models that write, judge and reflect."""

    kind: Annotated[Literal["chat"], tyro.conf.Suppress] = "chat"
    open: TeacherEndpoints = field(default_factory=TeacherEndpoints)
    """Writes the first prompt; does the rest too where no other model is named."""
    judge: TeacherEndpoints = field(default_factory=TeacherEndpoints)
    reflect: TeacherEndpoints = field(default_factory=TeacherEndpoints)
    prompts: Path | None = None
    """Folder with open.md, judge.md, rules.md and reflect.md to ask with instead of ours."""

    def problems(self) -> list[str]:
        """See ``TeacherConfig``."""
        lines = [
            f"--teacher.open.{name} is missing: {remedy}"
            for name, remedy in (
                ("urls", "give OpenAI-compatible endpoints (http://host:8000/v1)"),
                ("model", "give the name by which they know the model"),
            )
            if not getattr(self.open, name)
        ]
        if lines:
            return lines
        configs: dict[str, OpenAIChatConfig] = {}
        for part in PARTS:
            try:
                configs[part] = self.part(part).chat()
            except ValueError as error:
                lines.append(f"--teacher.{part}: {error}")
        if self.prompts is not None:
            try:
                read_teacher_prompts(self.prompts)
            except ValueError as error:
                lines.append(f"--teacher.prompts: {error}")
            except OSError as error:
                lines.append(f"--teacher.prompts: {error.filename}: {error.strerror}")
        return lines or look(
            [
                probe
                for part, config in configs.items()
                for probe in chat_probes(f"--teacher.{part}", config)
            ]
        )

    def load(self, work: Path, *, words: int | None) -> ChatTeacher:
        """See ``TeacherConfig``."""
        kept = KeptAnswers(work / REPLIES)
        models: list[OpenAIChat] = []
        for part in PARTS:
            config = self.part(part).chat()
            # One model has one bound, whatever it is asked for.
            known = next((chat for chat in models if chat.config == config), None)
            models.append(known or OpenAIChat(config))
        opens, judges, reflects = (
            KeptChat(model, kept, max_tokens=model.config.max_tokens) for model in models
        )
        return ChatTeacher(
            open=opens, judge=judges, reflect=reflects, words=words, prompts=self.prompts
        )

    def writer(self, work: Path) -> ChatModel:
        """The model that writes requests: the one that opens, its words kept in ``work`` too."""
        config = self.part("open").chat()
        kept = KeptAnswers(work / REPLIES)
        return KeptChat(OpenAIChat(config), kept, max_tokens=config.max_tokens)

    def part(self, name: str) -> TeacherEndpoints:
        """A part's model: the first part's in all that is left as it was."""
        return getattr(self, name).over(self.open, plain=TeacherEndpoints())
