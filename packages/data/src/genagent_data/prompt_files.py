"""What teachers are asked, each question in a file of its own."""

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from string import Template

FOLDER = "teacher_prompts"


@dataclass(frozen=True, kw_only=True, slots=True)
class PromptFile:
    """A question with places to fill, and what tells it from other wordings.

    Example: ``read_prompt("hard_requests").fill(task="counting", number=10, examples="…")``
    """

    text: str
    """Places are written ``$name``, and a dollar ``$$``."""
    version: str
    """Twelve digits of the SHA-256 of the file; part of what an answer is kept under."""

    def fill(self, **values: object) -> str:
        """The question with every place filled.

        Raises:
            ValueError: a place has no value; the message names it.
        """
        try:
            return Template(self.text).substitute(values)
        except KeyError as error:
            raise ValueError(f"the prompt has a place ${error.args[0]}; give its value") from error


def read_prompt(name: str) -> PromptFile:
    """The question of ``teacher_prompts/NAME.md``.

    Raises:
        ValueError: there is none of that name.
    """
    folder = files("genagent_data").joinpath(FOLDER)
    known = sorted(f.name.removesuffix(".md") for f in folder.iterdir() if f.name.endswith(".md"))
    if name not in known:
        raise ValueError(f"no prompt is called {name!r}; known: {', '.join(known)}")
    content = folder.joinpath(f"{name}.md").read_bytes()
    return PromptFile(text=content.decode(), version=hashlib.sha256(content).hexdigest()[:12])


def prompt_version(name: str) -> str:
    """The version alone. Raises ValueError as ``read_prompt``."""
    return read_prompt(name).version
