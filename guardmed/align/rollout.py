"""What training on a model's own answers begins with: prompts in balance, and a tokenizer that knows where an answer ends."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import chain
from typing import Any

from guardmed.align.pairs import PreferencePair
from guardmed.errors import DataError


def balanced(rows: Sequence[PreferencePair]) -> list[PreferencePair]:
    """As many dangerous as harmless prompts of each language, the first of each, in turn.

    Raises
    ------
    DataError
        No language has both: a model that sees one kind alone learns to treat all alike.
    """
    cells = {(lang, harmful): [row for row in rows if row.lang == lang and row.harmful == harmful] for lang in ("en", "zh") for harmful in (True, False)}
    found = [row for lang in ("en", "zh") for row in chain.from_iterable(zip(cells[lang, True], cells[lang, False], strict=False))]
    if not found:
        raise DataError("There are no dangerous and harmless prompts of one language to train on.", mend="Make pairs: guardmed align pairs.")
    return found


def answering(tokenizer: Any) -> Any:
    """A copy of a tokenizer, padded on the left, whose end of the text is what closes an answer.

    TRL takes an answer to end at the tokenizer's end-of-text token, where chat templates may close turns with another.
    """
    from guardmed.align.templates import ending

    tokenizer = copy.deepcopy(tokenizer)
    closing = ending(tokenizer)
    if closing in tokenizer.get_vocab():
        tokenizer.eos_token = closing
    tokenizer.padding_side = "left"
    return tokenizer
