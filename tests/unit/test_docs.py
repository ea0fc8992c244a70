"""The documents: what they link to is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().parents[2]
DOCUMENTS = [PROGRAM / "README.md", *sorted((PROGRAM / "docs").glob("*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_relative_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", sorted((PROGRAM / "docs").glob("*.md")), ids=lambda path: path.name)
def test_every_document_can_be_reached_from_the_readme_or_the_labs_page(document: Path) -> None:
    pages = (PROGRAM / "README.md").read_text() + (PROGRAM / "docs" / "lab.md").read_text()
    assert f"{document.name})" in pages
