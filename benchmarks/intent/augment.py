"""Varies texts by what says nothing of their intent: led in, trailed by an aside, mistyped."""

from __future__ import annotations

import random

from intent.examples import ASIDES, LEADS, Example

TYPOS = 0.15


def wrapped(example: Example, chance: random.Random) -> str:
    """A text, now and then led in, trailed by an aside, or mistyped: what says nothing of its intent."""
    text, lang = example.text, example.language
    if chance.random() < 0.12:
        text = chance.choice(LEADS[lang]) + text
    if chance.random() < 0.2:
        text = text + chance.choice(ASIDES[lang])
    if lang == "en" and chance.random() < TYPOS:
        text = mistyped(text, chance)
    return text


def mistyped(text: str, chance: random.Random) -> str:
    """One letter in about twenty swapped with the next, doubled or left out."""
    out = list(text)
    for at in range(len(out) - 1):
        if out[at].isalpha() and out[at + 1].isalpha() and chance.random() < 0.04:
            match chance.randrange(3):
                case 0:
                    out[at], out[at + 1] = out[at + 1], out[at]
                case 1:
                    out[at] = ""
                case _:
                    out[at] += out[at]
    return "".join(out)
