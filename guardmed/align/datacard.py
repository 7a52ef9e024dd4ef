"""The data card of preference pairs: what is in them, where it comes from, and what was left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from guardmed.align.pairs import Pairs, PreferencePair
from guardmed.errors import DataError
from guardmed.files import digest_file, write_json, write_text
from guardmed.records import Frozen, read_document, read_records, write_records
from guardmed.reporting import Block, Page, Prose, Section, Table

PAIRS = "pairs.jsonl"
CARD = "card.json"


class Source(Frozen):
    """Where prompts came from.

    Attributes
    ----------
    name, licence : str
    digest : str
        SHA-256 of the file or the folder's files; of a policy its digest.
    rows : int
        How many of the rows are from it.
    """

    name: str
    licence: str
    digest: str
    rows: int = 0


class Cell(Frozen):
    """How many rows there are of one kind."""

    lang: str
    harmful: bool
    split: str
    rows: int
    preferences: int
    topics: int


class DataCard(Frozen):
    """What a folder of pairs holds.

    Attributes
    ----------
    model, fingerprint : str
        Whose own answers are in it.
    policy : str
        Packs that judged them.
    seed : int
    digest : str
        SHA-256 of ``pairs.jsonl``.
    cells : tuple of Cell
    sources : tuple of Source
    dropped : dict of str to int
        Prompts that were left out, by reason.
    kept_aside : int
        Evaluation prompts that every prompt was compared with.
    """

    schema_version: Annotated[int, Field(ge=1, le=1)] = 1
    kind: Literal["align_pairs"] = "align_pairs"
    model: str
    fingerprint: str
    policy: str
    seed: int
    digest: str
    cells: tuple[Cell, ...]
    sources: tuple[Source, ...]
    dropped: dict[str, int]
    kept_aside: int


def count(rows: Sequence[PreferencePair]) -> tuple[Cell, ...]:
    """Rows by language, kind and split."""
    keys = Counter((row.lang, row.harmful, row.split) for row in rows)
    out = []
    for (lang, harmful, split), number in sorted(keys.items()):
        cell = [row for row in rows if (row.lang, row.harmful, row.split) == (lang, harmful, split)]
        preferences = sum(row.rejected is not None and row.whole for row in cell)
        out.append(Cell(lang=lang, harmful=harmful, split=split, rows=number, preferences=preferences, topics=len({row.topic for row in cell})))
    return tuple(out)


def write_pairs(pairs: Pairs, folder: Path, *, model: str, fingerprint: str, policy: str, seed: int, sources: Sequence[Source], kept_aside: int) -> DataCard:
    """Write ``pairs.jsonl``, ``card.md`` and ``card.json`` into a folder."""
    by_source = Counter(row.source for row in pairs.rows)
    # The card goes last and names the digest of the rows: rows that it does not fit are not read.
    write_records(folder / PAIRS, [row.model_dump(mode="json") for row in pairs.rows])
    card = DataCard(
        model=model,
        fingerprint=fingerprint,
        policy=policy,
        seed=seed,
        digest=digest_file(folder / PAIRS),
        cells=count(pairs.rows),
        sources=tuple(source.model_copy(update={"rows": by_source[source.name]}) for source in sources),
        dropped=dict(pairs.dropped),
        kept_aside=kept_aside,
    )
    write_text(folder / "card.md", card_text(card))
    write_json(folder / CARD, card.model_dump(mode="json"))
    return card


def load_pairs(path: Path) -> list[PreferencePair]:
    """Rows of a folder of pairs, or of a file.

    Raises
    ------
    DataError
        The file is missing, a row does not fit, or a folder's rows are not those that its card tells of.
    """
    if path.is_dir() and load_card(path).digest != digest_file(path / PAIRS):
        raise DataError(f"{path / PAIRS} is not what {path / CARD} tells of.", mend="Was it changed by hand? Name the file itself, or make pairs again.")
    return read_records(path / PAIRS if path.is_dir() else path, PreferencePair)


def load_card(path: Path) -> DataCard:
    """The card of a folder of pairs.

    Raises
    ------
    DataError
        It is missing, or no such card.
    """
    file = path / CARD if path.is_dir() else path
    return read_document(file, DataCard, kind="align_pairs", what="a card of preference pairs", mend="Name the folder that guardmed align pairs wrote.")


def card_text(card: DataCard) -> str:
    """The card in Markdown."""
    prose = (
        f"Prompts with an answer to prefer and, where it was sampled, one to avoid. The model's own answers are those of {card.model} "
        f"({card.fingerprint[:12]}), judged by the policy {card.policy}. Refusals are composed from policies/answers. Seed {card.seed}; "
        f"SHA-256 of {PAIRS}: {card.digest}. Topics are held out, not rows: no topic of the validation rows is trained on. "
        f"Every prompt was compared with the {card.kept_aside:,} prompts that figures are reported on."
    )
    return Page("Preference pairs", "Data card", [Section("What this is", [Prose(prose)]), Section("What is in it", card_tables(card))]).markdown()


def card_tables(card: DataCard) -> list[Block]:
    """Rows, sources and what was left out."""
    cells = [
        [cell.lang, "dangerous" if cell.harmful else "harmless", cell.split, f"{cell.rows:,}", f"{cell.preferences:,}", f"{cell.topics:,}"]
        for cell in card.cells
    ]
    sources = [[source.name, f"{source.rows:,}", source.licence, source.digest[:16]] for source in card.sources]
    dropped = [[reason, f"{number:,}"] for reason, number in sorted(card.dropped.items(), key=lambda one: -one[1])]
    return [
        Table("Preference pairs", ["Language", "Kind", "Split", "Rows", "With both answers", "Topics"], cells),
        Table("Sources", ["Source", "Rows", "Licence", "SHA-256"], sources),
        *([Table("Left out", ["Reason", "Prompts"], dropped)] if dropped else []),
    ]
