"""The site has no copy of the code: links out of docs/ become paths, and dead ones are said."""

import importlib.util
import logging
from pathlib import Path
from types import SimpleNamespace

import pytest

HOOK = Path(__file__).parents[2] / "docs" / ".site" / "links.py"


@pytest.fixture(scope="module")
def links():
    found = importlib.util.spec_from_file_location("site_links", HOOK)
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def on(links, text: str, page: str = "tools.md") -> str:
    return links.on_page_markdown(text, page=SimpleNamespace(file=SimpleNamespace(src_path=page)))


@pytest.mark.parametrize(
    ("link", "path"),
    [
        ("[mkdocs.yml](../mkdocs.yml)", "`mkdocs.yml`"),
        ("[your_world.py](../examples/your_world.py)", "`examples/your_world.py`"),
        ("[the rules](../CONTRIBUTING.md#tests)", "the rules (`CONTRIBUTING.md`)"),
        ("[beside](judges.md#the-audit)", "[beside](judges.md#the-audit)"),
        ("```\n[a](../no/such.py)\n```", "```\n[a](../no/such.py)\n```"),
    ],
)
def test_a_link_out_becomes_its_path_and_others_stay(links, caplog, link, path):
    assert on(links, f"See:\n{link}\n") == f"See:\n{path}\n"
    assert not caplog.records


def test_a_page_further_down_looks_from_where_it_is(links, caplog):
    assert on(links, "[a page](../tools.md)", "api/index.md") == "[a page](../tools.md)"
    assert on(links, "[it](../../examples/ask.py)", "api/index.md") == "it (`examples/ask.py`)"
    assert not caplog.records


def test_a_link_that_leads_nowhere_is_a_warning_which_strict_fails_for(links, caplog):
    on(links, "[gone](../packages/no_such.py)")
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == "tools.md links to ../packages/no_such.py, which is not there"
