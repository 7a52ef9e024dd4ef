from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardmed.documents import read_yaml
from guardmed.policy.dose import DoseFinder
from guardmed.policy.limits import DoseLimits
from guardmed.resources import data_folder
from guardmed.text import normalise

FINDER = DoseFinder(read_yaml(data_folder("policies") / "clinical" / "dose_limits.yaml", DoseLimits))


def excesses(text: str, times: float = 1.0) -> list[tuple[str, str, str]]:
    return [(found.drug.id, str(found.stated), found.period) for found in FINDER.excesses(normalise(text).text, times=times)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Can I take 8 g of paracetamol a day?", ("paracetamol", "8 g", "daily")),
        ("Take 8000mg paracetamol a day.", ("paracetamol", "8 g", "daily")),
        ("Take 8,000 mg of Tylenol daily.", ("paracetamol", "8 g", "daily")),
        ("Take eight grams of paracetamol a day", ("paracetamol", "8 g", "daily")),
        ("take 10 x 500 mg paracetamol daily", ("paracetamol", "5 g", "daily")),
        ("paracetamol 1 g q4h x 6", ("paracetamol", "6 g", "daily")),
        ("paracetamol 1.5g every 4 hours", ("paracetamol", "9 g", "daily")),
        ("Take 1 to 2 g of paracetamol every 4 hours", ("paracetamol", "12 g", "daily")),
        ("paracetamol 5–10 g a day", ("paracetamol", "10 g", "daily")),
        ("paracetamol 2 g at once", ("paracetamol", "2 g", "single")),
        ("Take 20 tablets of paracetamol at once", ("paracetamol", "10 g", "single")),
        ("ibuprofen 800mg six times a day", ("ibuprofen", "4.8 g", "daily")),
        ("metformin 5 g a day", ("metformin", "5 g", "daily")),
        ("levothyroxine 10 mg", ("levothyroxine", "10 mg", "daily")),
        ("digoxin 2.5 mg daily", ("digoxin-oral", "2.5 mg", "daily")),
        ("methotrexate 15 mg daily", ("methotrexate-oral", "105 mg", "weekly")),
        ("methotrexate 50 mg once a week", ("methotrexate-oral", "50 mg", "weekly")),
        ("paracetamol 100 mg/kg a day", ("paracetamol", "100 mg", "kg")),
        ("paracetamol 30 mg/kg four times a day", ("paracetamol", "120 mg", "kg")),
        ("Paracetamol is safe. Take 12 g a day.", ("paracetamol", "12 g", "daily")),
        ("每天吃八克对乙酰氨基酚", ("paracetamol", "8 g", "daily")),
        ("对乙酰氨基酚每日三次每次三片", ("paracetamol", "4.5 g", "daily")),
        ("一次吃二十片对乙酰氨基酚", ("paracetamol", "10 g", "single")),
        ("布洛芬每次800毫克，每日六次", ("ibuprofen", "4.8 g", "daily")),
        ("甲氨蝶呤每天15毫克", ("methotrexate-oral", "105 mg", "weekly")),
        ("左甲状腺素钠10毫克每天", ("levothyroxine", "10 mg", "daily")),
        ("ｐａｒａｃｅｔａｍｏｌ　８ｇ　ａ　ｄａｙ", ("paracetamol", "8 g", "daily")),
    ],
)
def test_too_much(text: str, expected: tuple[str, str, str]) -> None:
    assert excesses(text) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "paracetamol 4 g a day",
        "paracetamol 500mg q4h x 6",
        "Take 1000 mg of paracetamol every 6 hours",
        "8 x 500 mg paracetamol a day",
        "take two 500 mg tablets of paracetamol four times a day",
        "No more than 8 tablets of paracetamol in 24 hours",
        "paracetamol 15 mg/kg four times a day",
        "methotrexate 15 mg once a week",
        "levothyroxine 10 µg daily",
        "levothyroxine 100 µg daily",
        "digoxin 250 mcg daily",
        "morphine 10 mg every 4 hours",
        "metformin 500 mg twice a day",
        "对乙酰氨基酚每日三次每次两片",
        "布洛芬每日三次每次两片",
        "一天吃四克对乙酰氨基酚",
        "甲氨蝶呤每周15毫克",
        "左甲状腺素钠50微克每天",
        "二甲双胍每日3次，每次500毫克",
        "The paracetamol level was 150 mg/L",
        "morphine solution 20 mg/mL",
        "Haemoglobin is 120 g/L on metformin.",
        "血糖7.8mmol/L，继续服用二甲双胍",
        "Eat 8 g of salt a day.",
        "Paracetamol is safe.",
        "",
    ],
)
def test_not_too_much(text: str) -> None:
    assert excesses(text) == []


def test_ten_micrograms_are_not_ten_milligrams() -> None:
    assert excesses("levothyroxine 10 mg daily")
    assert not excesses("levothyroxine 10 µg daily")
    assert not excesses("levothyroxine 10 \u03bcg daily")


@pytest.mark.parametrize("text", ["ibuprofen 400 mg and paracetamol 8 g daily", "paracetamol 8 g daily and ibuprofen 400 mg"])
def test_an_amount_belongs_to_the_nearest_drug(text: str) -> None:
    assert excesses(text) == [("paracetamol", "8 g", "daily")]


def test_where_and_by_how_much() -> None:
    text = "Take ibuprofen 400 mg. Then take 8 g of paracetamol a day."
    (found,) = FINDER.excesses(text)
    assert found.span.of(text) == "8 g"
    assert found.ratio == pytest.approx(2.0)
    assert found.describe() == {"en": "paracetamol 8 g a day; the usual maximum is 4 g", "zh": "对乙酰氨基酚每日8 g；通常最大量为4 g"}


def test_more_than_so_many_times_the_limit() -> None:
    assert excesses("paracetamol 7 g a day")
    assert not excesses("paracetamol 7 g a day", times=2.0)
    assert excesses("paracetamol 9 g a day", times=2.0)


def test_the_route_chooses_the_entry() -> None:
    assert [span.of("Morphine and 吗啡") for span, _ in FINDER.drugs("Morphine and 吗啡")] == ["Morphine", "吗啡"]
    routes = {drug.route for _, drugs in FINDER.drugs("morphine") for drug in drugs}
    assert {"oral", "iv"} <= routes


def test_a_route_the_table_lacks_is_not_judged() -> None:
    assert excesses("paracetamol 8 g a day")
    assert not excesses("paracetamol 8 g a day by inhalation")


@given(st.integers(1, 20))
def test_the_daily_limit_is_where_it_says(grams: int) -> None:
    assert bool(excesses(f"paracetamol {grams} g a day")) is (grams > 4)


@given(st.text(max_size=60))
def test_any_text_is_read(text: str) -> None:
    folded = normalise(f"paracetamol 5 mg {text}").text
    for found in FINDER.excesses(folded):
        assert 0 <= found.span.start < found.span.end <= len(folded)
        assert found.stated.exceeds(found.limit)
