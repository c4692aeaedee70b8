"""What the text says by which a service is named or asked: endpoints, a model's folder, further
fields."""

import json
from pathlib import Path


def is_url(name: str) -> bool:
    """Endpoints, several with commas between."""
    return name.startswith(("http://", "https://"))


def answers_freely(judge: str) -> bool:
    """A model, which can be asked any question: endpoints, or a folder with one."""
    return is_url(judge) or (Path(judge) / "config.json").is_file()


def urls_of(text: str) -> tuple[str, ...]:
    """Each of the endpoints."""
    return tuple(url.strip() for url in text.split(","))


def default_key_env(urls: str) -> str | None:
    """The variable whose key endpoints get unasked: none where one would read it in the clear."""
    is_private = all(url.startswith("https://") for url in urls_of(urls))
    return "OPENAI_API_KEY" if is_private else None


def kept_name(name: str, model: str) -> str:
    """By which what it made is kept: the model's where it has a name, for servers move, and what
    they drew stays paid for."""
    return model or ("served" if is_url(name) else name)


def body_fields(option: str, text: str) -> dict[str, object]:
    """Further fields of each question to an endpoint; none where nothing is said.

    Raises:
        ValueError: the text is no JSON object; names the option.
    """
    try:
        found = json.loads(text or "{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ValueError(f"{option} is {text!r}; wants a JSON object")
    return found
