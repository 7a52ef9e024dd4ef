"""Clinical entities as published sets hold them: CMeEE's offsets, other offsets, and tags by token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guardmed.calibration.shapes import _CHINESE, _file_rows, _Row
from guardmed.errors import DataError
from guardmed.evaluate.results import Language
from guardmed.records import parsed_cell

# Names of the same fields: CMeEE's own, those of its copies on the hub, OpenMed's and transformers'.
_START, _END = ("start_idx", "start_offset", "start"), ("end_idx", "end_offset", "end")
_LABEL, _WORDS = ("type", "label", "entity_group"), ("entity", "text", "word")
_TAGS = ("tags", "ner_tags", "labels")
_SHAPES = "text with entities (start_idx, end_idx, type, entity), or tokens with tags"


@dataclass(frozen=True, slots=True, order=True)
class Entity:
    """Characters ``start`` to ``end`` (not included) of a text, and what they are."""

    start: int
    end: int
    label: str


@dataclass(frozen=True, slots=True)
class Sentence:
    """A text and the entities in it."""

    id: str
    text: str
    entities: tuple[Entity, ...]
    language: Language


def read_sentences(path: str | Path, *, texts: Mapping[str, str] | None = None) -> list[Sentence]:
    """Sentences of a file, in its order.

    Offsets of CMeEE (``end_idx``) include the last character, those of other names don't; where the row
    holds the entity's words as well, those decide. Without an id a row has the number of its line.

    Parameters
    ----------
    path : str or Path
        ``.json`` (an array), ``.jsonl``, ``.csv`` or ``.parquet``.
    texts : mapping of str to str, optional
        Texts by id, for files of predictions that leave them out.

    Raises
    ------
    DataError
        Naming the line and the field.
    """
    found = [_sentence(row, texts or {}) for row in _file_rows(path)]
    if not found:
        raise DataError(f"{path} holds no sentences.", mend=f"Give {_SHAPES}.")
    return found


def _sentence(row: _Row, texts: Mapping[str, str]) -> Sentence:
    name = row.get("id") or str(row.number)
    tokens = parsed_cell(row.fields.get("tokens"))
    tags = next((value for field in _TAGS if (value := parsed_cell(row.fields.get(field))) is not None), None)
    if isinstance(tokens, list) and tags is not None:
        text, entities = _tagged(row, tokens, tags)
    else:
        # The text as it stands: blanks around it are counted by the offsets.
        text = own if isinstance(own := row.fields.get("text"), str) and own.strip() else texts.get(name, "")
        if not text:
            raise row.fault("text is missing, empty or not a text", f"Give {_SHAPES}.")
        listed = parsed_cell(row.fields.get("entities"))
        if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
            raise row.fault("entities is not a list of objects", f"Give {_SHAPES}.")
        entities = [_entity(row, text, place, one) for place, one in enumerate(listed)]
    if name in texts and text != texts[name]:
        raise row.fault(f"text is not that of {name} in the set", "Give the predictions for the same file, in its order or by its ids.")
    return Sentence(name, text, tuple(sorted(set(entities))), "zh" if _CHINESE.search(text) else "en")


def _entity(row: _Row, text: str, place: int, fields: Mapping[str, Any]) -> Entity:
    field = f"entities.{place}"
    first, last, label = (next((name for name in names if name in fields), None) for names in (_START, _END, _LABEL))
    if first is None or last is None or label is None:
        raise row.fault(f"{field} lacks {_START[0] if first is None else _END[0] if last is None else _LABEL[0]}", f"Give {_SHAPES}.")
    start, end = fields[first], fields[last]
    if not all(isinstance(value, int) and not isinstance(value, bool) for value in (start, end)):
        raise row.fault(f"{field}.{first} or {last} is not a whole number")
    if not isinstance(fields[label], str) or not fields[label].strip():
        raise row.fault(f"{field}.{label} is not a text")
    ends = (end + 1, end) if last == "end_idx" else (end, end + 1)
    words = next((fields[name] for name in _WORDS if isinstance(fields.get(name), str)), None)
    stop = ends[0] if words is None else next((stop for stop in ends if text[start:stop] == words), None)
    if stop is None:
        raise row.fault(f"{field}: the characters {start} to {end} are {text[max(0, start) : max(0, end)]!r}, not {str(words)!r}", "Mend its offsets.")
    if not 0 <= start < stop <= len(text):
        raise row.fault(f"{field}: {start} to {end} lies outside the text of {len(text)} characters", "Mend its offsets.")
    return Entity(start, stop, fields[label].strip())


def _tagged(row: _Row, tokens: list[Any], tags: Any) -> tuple[str, list[Entity]]:
    """Text and entities of tokens and tags; tokens are joined by blanks where the script has them."""
    if not isinstance(tags, list) or len(tags) != len(tokens):
        raise row.fault("tags is not a list with one for each of the tokens")
    if not tokens or not all(isinstance(token, str) and token for token in tokens):
        raise row.fault("tokens is not a list of texts")
    if not all(isinstance(tag, str) for tag in tags):
        raise row.fault("tags holds numbers", "Give the names of the tags, such as B-dis and O.")
    between = "" if _CHINESE.search("".join(tokens)) else " "
    starts = [0]
    for token in tokens:
        starts.append(starts[-1] + len(token) + len(between))
    return between.join(tokens), [Entity(starts[first], starts[last] + len(tokens[last]), label) for label, first, last in chunks(tags)]


def chunks(tags: Sequence[str]) -> list[tuple[str, int, int]]:
    """Label, first and last token of every entity in one sentence's tags, read as seqeval reads them by default.

    ``B-`` or ``S-`` begins, ``E-`` or ``S-`` ends; ``I-`` or ``E-`` goes on, or begins where nothing or another label stood before.
    """
    found: list[tuple[str, int, int]] = []
    first, before, label = 0, "O", ""
    for place, tag in enumerate([*tags, "O"]):
        mark, _, kind = tag.partition("-")
        kind = kind or "_"
        if before != "O" and (mark in ("O", "B", "S") or before in ("E", "S") or kind != label):
            found.append((label, first, place - 1))
            before = "O"
        if mark != "O" and before == "O":
            first = place
        before, label = mark, kind
    return found
