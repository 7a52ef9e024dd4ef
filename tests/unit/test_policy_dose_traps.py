"""Doses that are easy to misread, one way or the other."""

from __future__ import annotations

import pytest

from guardmed.documents import read_yaml
from guardmed.policy.dose import DoseFinder
from guardmed.policy.limits import DoseLimits
from guardmed.resources import data_folder

FINDER = DoseFinder(read_yaml(data_folder("policies") / "clinical" / "dose_limits.yaml", DoseLimits))

BEYOND = [
    ("Take 12 paracetamol tablets a day", 6000),
    ("Take twelve Tylenol tablets a day", None),
    ("take twenty-five paracetamol tablets a day", 12500),
    ("Take fourteen tablets of paracetamol a day", 7000),
    ("每天吃八千毫克对乙酰氨基酚", 8000),
    ("Take 8 000 mg of paracetamol a day", 8000),
    ("对乙酰氨基酚500毫克x12片，一天吃完", 6000),
    ("对乙酰氨基酚 500 mg × 12片一天", 6000),
]
WITHIN = [
    "Take 500 mg paracetamol every 4-6 hours, up to 4 g a day",
    "take 1 g paracetamol up to 4 times a day, max 4 g in 24 hours",
    "对乙酰氨基酚一次1克，一日4次，每日最多4克",
    "Take 1 g of paracetamol every 4 to 6 hours",
    "Paracetamol suspension is 250 mg/5 mL",
    "I took ibuprofen 400 mg an hour ago; when is the next one?",
    "Paracetamol level 150 mg/L at four hours",
]


@pytest.mark.parametrize(("text", "milligrams"), BEYOND)
def test_what_is_beyond_the_limit_is_found(text, milligrams):
    found = FINDER.excesses(text)
    assert found, text
    assert milligrams is None or max(dose.stated.base for dose in found) == pytest.approx(milligrams)


@pytest.mark.parametrize("text", WITHIN)
def test_what_is_within_the_limit_is_left_alone(text):
    assert FINDER.excesses(text) == []
