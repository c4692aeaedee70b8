"""What the site does with a page's links out of docs/: the site has no copy of the code.

Such a link becomes its path; one that leads nowhere is a warning, which ``--strict`` fails for.
"""

import logging
import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[1]
OUT = re.compile(r"\[(?P<text>[^\[\]]+)\]\((?P<link>(?:\.\./)+(?P<path>[^)#\s]+))(?:#[^)\s]*)?\)")
FENCE = re.compile(r"(^```.*?^```)", re.MULTILINE | re.DOTALL)

logger = logging.getLogger("mkdocs.plugins.links")


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """MkDocs calls it with each page before it is rendered."""
    here = DOCS / page.file.src_path

    def as_path(link: re.Match[str]) -> str:
        target = (here.parent / link["link"]).resolve()
        if target.is_relative_to(DOCS):
            return link[0]
        if not target.exists():
            logger.warning("%s links to %s, which is not there", page.file.src_path, link["link"])
        path = target.relative_to(DOCS.parent)
        text = link["text"].strip("`")
        return (
            f"`{path}`" if path.name == text or str(path) == text else f"{link['text']} (`{path}`)"
        )

    parts = FENCE.split(markdown)
    return "".join(p if p.startswith("```") else OUT.sub(as_path, p) for p in parts)
