"""Token ids and the characters they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class Detokeniser:
    """Turns token ids into text as they arrive, never splitting a character.

    Each id is decoded together with a few before it, because what a piece decodes to depends on
    its neighbours; bytes of an unfinished character wait for the rest.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        self._start = 0
        self._read = 0
        self.text = ""
        self.offsets: list[tuple[int, int]] = []

    def push(self, token_id: int) -> str:
        """Add one token; returns the text it completes, often empty for byte pieces."""
        self._ids.append(token_id)
        before = self._decode(self._ids[self._start : self._read])
        after = self._decode(self._ids[self._start :])
        begin = len(self.text)
        piece = ""
        if len(after) > len(before) and not after.endswith("�"):
            piece = after[len(before) :]
            self._start, self._read = self._read, len(self._ids)
            self.text += piece
        self.offsets.append((begin, len(self.text)))
        return piece

    def finish(self) -> str:
        """The text of whatever is still waiting."""
        rest = self._decode(self._ids[self._start :])[len(self._decode(self._ids[self._start : self._read])) :]
        self.text += rest
        if rest and self.offsets:
            self.offsets[-1] = (self.offsets[-1][0], len(self.text))
        self._read = len(self._ids)
        return rest

    def _decode(self, ids: list[int]) -> str:
        text: str = self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text


def following(text: str, tokenizer: Any) -> list[int]:
    """Token ids of a text as the continuation of another one.

    Some tokenizers, such as Llama 2's and the first Mistral's, put a space before every text; behind a line break a
    text becomes the tokens that it is within a longer one.
    """
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    mark = _line_break(tokenizer)
    if not mark or not text:
        return ids
    behind: list[int] = tokenizer("\n" + text, add_special_tokens=False)["input_ids"]
    return behind[len(mark) :] if behind[: len(mark)] == mark else ids


def _line_break(tokenizer: Any) -> list[int]:
    """Token ids of a line break where a tokenizer puts a space before every text; none elsewhere."""
    mark, behind, alone = (list(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in ("\n", "\na", "a"))
    return mark if behind[: len(mark)] == mark and behind[len(mark) :] != alone else []


def detokenise(ids: Sequence[int], tokenizer: Any) -> tuple[str, list[tuple[int, int]]]:
    """Text of token ids, and the characters each covers (tokens of one character share them)."""
    stream = Detokeniser(tokenizer)
    for token_id in ids:
        stream.push(token_id)
    stream.finish()
    # Pieces of a split character are told by the piece that completed it.
    offsets = list(stream.offsets)
    for index in range(len(offsets) - 2, -1, -1):
        if offsets[index][0] == offsets[index][1] and offsets[index + 1][0] == offsets[index][0]:
            offsets[index] = offsets[index + 1]
    return stream.text, offsets


def common_prefix(rows: Sequence[Sequence[int]]) -> int:
    """Length of the longest prefix that all sequences share."""
    shortest, longest = min(map(tuple, rows)), max(map(tuple, rows))
    for index, (a, b) in enumerate(zip(shortest, longest, strict=False)):
        if a != b:
            return index
    return min(len(shortest), len(longest))
