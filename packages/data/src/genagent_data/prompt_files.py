"""The teachers' prompts: files of a system message and a user turn, versioned by their content."""

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template

_RULE = "\n---\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class PromptFile:
    """What a teacher is asked, with slots such as ``$request``.

    Example: ``read_prompt("open").version == "open@1f0c…"``
    """

    version: str
    """Name and the first digits of the SHA-256 of all that it was read from."""
    system: str
    user: Template

    def ask(self, **slots: str) -> str:
        """The user turn."""
        return self.user.substitute(slots).strip()


def read_prompt(name: str, *slots: str, folder: Path | None = None, **included: str) -> PromptFile:
    """The prompt ``name.md`` of a folder, our own unless another is given.

    Args:
        slots: that are filled when it is asked; it need not have all of them.
        included: slots that are filled from other files of the folder, by the files' names.

    Raises:
        ValueError: the file has no line ``---`` between system message and user turn, or a slot
            that is no name or that nothing fills.
        OSError: there is no such file.
    """
    root = files("genagent_data") / "teacher_prompts" if folder is None else folder
    text = (root / f"{name}.md").read_text(encoding="utf-8")
    others = {
        slot: (root / f"{file}.md").read_text(encoding="utf-8").strip()
        for slot, file in included.items()
    }
    system, rule, user = text.partition(_RULE)
    template = Template(user)
    if not rule or not template.is_valid():
        raise ValueError(
            f"{root / f'{name}.md'}: wants a system message, a line ---, and a user turn whose "
            "slots are names such as $request"
        )
    unknown = [f"${slot}" for slot in template.get_identifiers() if slot not in (*slots, *included)]
    if unknown:
        known = ", ".join(f"${slot}" for slot in (*slots, *included))
        raise ValueError(
            f"{root / f'{name}.md'}: nothing fills {', '.join(unknown)}; slots are {known}, and a "
            "dollar sign is $$"
        )
    for slot, content in others.items():
        # A dollar sign of the file's own stays one.
        filled = template.template.replace(f"${slot}", content.replace("$", "$$"))
        template = Template(filled)
    digest = hashlib.sha256("\n".join((text, *others.values())).encode()).hexdigest()
    return PromptFile(version=f"{name}@{digest[:12]}", system=system.strip(), user=template)
