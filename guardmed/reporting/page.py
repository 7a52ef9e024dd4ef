"""One self-contained HTML page and the same content in Markdown, from the same blocks.

A report is a list of sections of blocks; every report of GuardMed is built from these, so they
look alike, print well, need no script and load nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal

Tone = Literal["pass", "fail", "inconclusive", "plain"]
# A table with more rows than this scrolls under its header on a screen; a print has every row.
LONG_TABLE = 30
# A page with fewer sections is seen at a glance.
_SECTIONS_TO_LIST = 4
_CONTENTS = MappingProxyType({"en": "Contents", "zh": "目录"})
# Chinese here is simplified: said so, browsers and screen readers pick its glyphs and its voice.
_TAGS = MappingProxyType({"zh": "zh-Hans"})


@dataclass(frozen=True)
class Prose:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Points:
    """Sentences one under another, with a lead where they need one."""

    items: Sequence[str]
    lead: str = ""


@dataclass(frozen=True)
class Cell:
    """A table cell with a tone."""

    text: str
    tone: Tone = "plain"


@dataclass(frozen=True)
class Table:
    """A table with a caption; cells are texts or toned cells."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]

    @property
    def long(self) -> bool:
        """Whether it is too long to be passed over."""
        return len(self.rows) > LONG_TABLE


@dataclass(frozen=True)
class Plot:
    """An SVG with what it shows in words, for who can't see it."""

    svg: str
    alternative: str

    def placed(self, name: str) -> str:
        """The SVG to stand in a page under a name: no identifier that another plot has, described by what has the name."""
        own = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", self.svg)
        width = re.search(r'\bwidth="([\d.]+pt)"', own)
        style = f' style="--width: {width[1]}"' if width else ""
        return own.replace("<svg ", f'<svg role="img" aria-labelledby="{name}"{style} ', 1)


@dataclass(frozen=True)
class Verdict:
    """The first thing a reader sees: one word, one sentence."""

    word: str
    tone: Tone
    sentence: str


@dataclass(frozen=True)
class SideBySide:
    """Two texts beside one another, in pieces that are marked where they differ, in a language that may be another than the page's."""

    caption: str
    left_title: str
    right_title: str
    left: Sequence[tuple[str, bool]]
    right: Sequence[tuple[str, bool]]
    language: str = ""

    @property
    def tag(self) -> str:
        """The texts' language, as HTML names it; empty for the page's own."""
        return _TAGS.get(self.language, self.language)

    @property
    def sides(self) -> tuple[tuple[str, Sequence[tuple[str, bool]]], ...]:
        """Title and pieces of each."""
        return (self.left_title, self.left), (self.right_title, self.right)


@dataclass(frozen=True)
class Code:
    """Text to copy as it stands."""

    text: str
    caption: str


Block = Prose | Points | Table | Plot | Verdict | SideBySide | Code


@dataclass(frozen=True)
class Section:
    """A heading and its blocks."""

    heading: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Page:
    """A report."""

    title: str
    subtitle: str
    sections: Sequence[Section]
    language: str = "en"

    @property
    def tag(self) -> str:
        """Its language, as HTML names it."""
        return _TAGS.get(self.language, self.language)

    @property
    def contents(self) -> str:
        """What the list of its sections is called; empty where none is needed."""
        return _CONTENTS.get(self.language, _CONTENTS["en"]) if len(self.sections) >= _SECTIONS_TO_LIST else ""

    def html(self) -> str:
        """As one self-contained HTML document."""
        return _environment().get_template("page.html.j2").render(page=self, kind=_kind, starts=_starts)  # type: ignore[no-any-return]

    def markdown(self) -> str:
        """As Markdown; plots become their description."""
        parts = [f"# {self.title}", self.subtitle]
        for section in self.sections:
            parts.append(f"## {section.heading}")
            parts += [_markdown(block) for block in section.blocks]
        return "\n\n".join(parts) + "\n"


def text_of(cell: str | Cell) -> str:
    """The text of a cell."""
    return cell.text if isinstance(cell, Cell) else cell


def _starts(table: Table, place: int) -> bool:
    """Whether a row begins a run: rows that share their first cell belong together, as those of one axis do."""
    first = [text_of(row[0]) for row in table.rows]
    runs = len(first) > 2 * len(set(first))
    return runs and place > 0 and first[place] != first[place - 1]


def _kind(block: Block) -> str:
    return type(block).__name__.lower()


def _markdown(block: Block) -> str:
    if isinstance(block, Prose):
        return block.text
    if isinstance(block, Points):
        return (f"{block.lead}\n\n" if block.lead else "") + "\n".join(f"- {item}" for item in block.items)
    if isinstance(block, Verdict):
        return f"**{block.word}.** {block.sentence}"
    if isinstance(block, Plot):
        return f"*{block.alternative}*"
    if isinstance(block, Code):
        return f"{block.caption}\n\n```yaml\n{block.text.rstrip()}\n```"
    if isinstance(block, SideBySide):
        return f"**{block.caption}**\n\n" + "\n\n".join(f"- {title}\n\n{_quoted(pieces)}" for title, pieces in block.sides)
    escaped = [[text_of(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in block.rows]
    lines = ["| " + " | ".join(block.header) + " |", "|" + "---|" * len(block.header), *("| " + " | ".join(row) + " |" for row in escaped)]
    return f"{block.caption}\n\n" + "\n".join(lines)


def _quoted(pieces: Sequence[tuple[str, bool]]) -> str:
    """A block quote with what is marked in bold."""
    text = "".join(f"**{piece.strip()}**".join(("", " " if piece.endswith(" ") else "")) if marked and piece.strip() else piece for piece, marked in pieces)
    return "\n".join(f"  > {line}" for line in text.splitlines())


@lru_cache(maxsize=1)
def _environment() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(loader=PackageLoader("guardmed.reporting"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
