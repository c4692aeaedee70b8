"""HTML pages that are whole in themselves and without a script.

What people and models wrote is escaped and its control characters are shown as pictures of
themselves, whatever a template does; a policy of content forbids whatever might get through:
scripts, forms, and everything from elsewhere.
"""

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from genagent_tracking.printable import one_line, printable

TEMPLATES = Path(__file__).parent / "templates"


class Pages:
    """Renders a folder's templates, which may extend ``frame.html.j2``."""

    def __init__(self, templates: Path = TEMPLATES, *, styles: Sequence[str]) -> None:
        """
        Args:
            styles: files of the folder that follow the frame's own style.
        """
        # Not above: it takes a tenth of what --help may.
        from jinja2 import Environment, FileSystemLoader, StrictUndefined

        self._style = "".join(
            path.read_text(encoding="utf-8")
            for path in (TEMPLATES / "frame.css", *(templates / name for name in styles))
        )
        self._environment = Environment(
            loader=FileSystemLoader([templates, TEMPLATES]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=_shown,
        )
        self._environment.filters["one_line"] = lambda text, limit: one_line(text, limit=limit)

    def render(self, template: str, *, rules: str = "", **values: Any) -> str:
        """A template with its values escaped.

        Args:
            rules: style of this page alone; ours, never a model's words.
        """
        style = self._style + rules
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")
        policy = (
            f"default-src 'none'; img-src data: file: 'self'; style-src 'sha256-{digest}'; "
            "base-uri 'none'; form-action 'none'"
        )
        page = self._environment.get_template(template)
        return page.render(style=Markup(style), policy=policy, **values)


def _shown(value: object) -> object:
    return printable(value) if type(value) is str else value
