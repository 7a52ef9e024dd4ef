from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardmed.policy.quantities import amounts, number, period, times_a_day
from guardmed.text import normalise


def stated(text: str) -> list[tuple[str, float | None, float | None]]:
    """What each amount reads, its milligrams (or mL, IU, mmol) and its count."""
    folded = normalise(text).text
    return [(amount.span.of(folded), amount.quantity.base if amount.quantity else None, amount.count) for amount in amounts(folded)]


class TestNumber:
    @pytest.mark.parametrize(
        ("words", "value"),
        [
            ("8", 8), ("2.5", 2.5), ("1,000", 1000), ("12,500", 12500), ("eight", 8), ("Half a", 0.5), ("a dozen", 12), ("two hundred", 200),
            ("半", 0.5), ("两", 2), ("十", 10), ("十二", 12), ("二十", 20), ("二十五", 25), ("一百二十", 120), ("三百五十", 350), ("两百", 200),
            ("一百零五", 105), ("eight thousand", 8000), ("two thousand five hundred", 2500), ("one hundred and fifty", 150), ("one and a half", 1.5),
            ("1/2", 0.5), ("1 1/2", 1.5), ("1⁄2", 0.5), ("11⁄2", 1.5), (".5", 0.5), ("八千", 8000), ("twenty-five", 25),
        ],
    )  # fmt: skip
    def test_value(self, words: str, value: float) -> None:
        assert number(words) == value

    @given(st.integers(1, 999))
    def test_chinese_numerals(self, value: int) -> None:
        digits = "零一二三四五六七八九"
        hundreds, tens, ones = value // 100, value // 10 % 10, value % 10
        words = (
            (digits[hundreds] + "百" if hundreds else "")
            + (digits[tens] + "十" if tens else ("零" if hundreds and ones else ""))
            + (digits[ones] if ones else "")
        )
        assert number(words) == value

    @given(st.integers(1, 9_999_999))
    def test_thousands_separators(self, value: int) -> None:
        assert number(f"{value:,}") == number(str(value)) == value


class TestAmounts:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("8 g", [("8 g", 8000, None)]),
            ("8000mg", [("8000mg", 8000, None)]),
            ("8,000 mg", [("8,000 mg", 8000, None)]),
            ("eight grams", [("eight grams", 8000, None)]),
            ("Half a gram", [("Half a gram", 500, None)]),
            ("８克", [("8克", 8000, None)]),
            ("八克", [("八克", 8000, None)]),
            ("五百", []),
            ("500 毫克", [("500 毫克", 500, None)]),
            ("10 µg", [("10 μg", 0.01, None)]),
            ("10 \u03bcg", [("10 μg", 0.01, None)]),
            ("10 mcg", [("10 mcg", 0.01, None)]),
            ("10微克", [("10微克", 0.01, None)]),
            ("10 mg", [("10 mg", 10, None)]),
            ("2.5 mL", [("2.5 mL", 2.5, None)]),
            ("100 units", [("100 units", 100, None)]),
            ("40 mmol", [("40 mmol", 40, None)]),
            ("500-1000 mg", [("500-1000 mg", 1000, None)]),
            ("5–10 g", [("5-10 g", 10000, None)]),
            ("one to two grams", [("one to two grams", 2000, None)]),
            ("5至10克", [("5至10克", 10000, None)]),
            ("8 x 500 mg", [("8 x 500 mg", 4000, None)]),
            ("500 mg x 8", [("500 mg x 8", 4000, None)]),
            ("500 mg × 8", [("500 mg × 8", 4000, None)]),
            ("8 tablets of 500 mg", [("8 tablets of 500 mg", 4000, None)]),
            ("20 tablets", [("20 tablets", None, 20)]),
            ("两片", [("两片", None, 2)]),
            ("二十粒", [("二十粒", None, 20)]),
            ("two bottles", [("two bottles", None, 60)]),
            ("eight thousand milligrams", [("eight thousand milligrams", 8000, None)]),
            (".5 mg", [(".5 mg", 0.5, None)]),
            ("10 U", [("10 U", 10, None)]),
            ("5万单位", [("5万单位", 50000, None)]),
            ("100单位", [("100单位", 100, None)]),
            ("25 mcg/h", [("25 mcg/h", 0.6, None)]),
            ("半片", [("半片", None, 0.5)]),
            ("1/2 tablet", [("1/2 tablet", None, 0.5)]),
            ("1½ tablets", [("11⁄2 tablets", None, 1.5)]),
            ("两粒半", [("两粒半", None, 2.5)]),
            ("两粒半小时后", [("两粒", None, 2)]),
            ("twenty-five paracetamol tablets", [("twenty-five paracetamol tablets", None, 25)]),
            ("200 mg and 3 g", [("200 mg", 200, None), ("3 g", 3000, None)]),
        ],
    )
    def test_value_and_place(self, text: str, expected: list[tuple[str, float | None, float | None]]) -> None:
        assert stated(text) == [(words, None if base is None else pytest.approx(base), count) for words, base, count in expected]

    def test_eight_tablets_of_a_strength_before_the_word(self) -> None:
        assert [base for _, base, _ in stated("eight 500 mg tablets")] == [4000]

    def test_days_are_not_multiplied(self) -> None:
        assert [base for _, base, _ in stated("500 mg x 5 days")] == [500]

    @pytest.mark.parametrize("text", ["15 mg/kg", "15 mg per kg", "15毫克/公斤", "15毫克每公斤"])
    def test_per_kilogram(self, text: str) -> None:
        found = amounts(normalise(text).text)
        assert [amount.per_kg for amount in found] == [True]

    @pytest.mark.parametrize(
        "text",
        [
            "20 mg/mL", "150 mg/L", "1.2 mg/dL", "7.8 mmol/L", "120 g/L", "血糖7.8mmol/L", "25 mg per mL", "10毫克/毫升",
            "BP 120/80", "15 mL/min",
            "5 mcg/kg/min", "75 mg/m2", "300单位/支", "1 tsp", "一茶匙", "5 minutes", "aged 80", "3 grandchildren", "38.5 °C", "心率72次", "第3天", "",
        ],
    )  # fmt: skip
    def test_what_is_not_an_amount_taken(self, text: str) -> None:
        assert stated(text) == []

    @given(st.integers(1, 9999), st.sampled_from([("mg", 1.0), ("g", 1000.0), ("mcg", 0.001), ("毫克", 1.0), ("克", 1000.0)]), st.sampled_from(["", " "]))
    def test_any_number_and_unit(self, value: int, unit: tuple[str, float], space: str) -> None:
        (amount,) = amounts(f"Take {value}{space}{unit[0]} now")
        assert amount.quantity is not None
        assert amount.quantity.base == pytest.approx(value * unit[1])


class TestTimes:
    @pytest.mark.parametrize(
        ("text", "times"),
        [
            ("500mg q4h x 6", 6), ("q6h", 4), ("q 8 h", 3), ("every 6 hours", 4), ("every four hours", 6), ("every 4-6 hours", 4), ("every hour", 24),
            ("qds", 4), ("t.i.d.", 3), ("tds", 3), ("bid", 2), ("twice a day", 2), ("twice daily", 2), ("once daily", 1), ("three times a day", 3),
            ("4 times daily", 4), ("每日三次", 3), ("一天吃4次", 4), ("每天服用两次", 2), ("每6小时", 4), ("每隔8个小时", 3), ("每小时", 24),
            ("q4h x 3", 3), ("q6h x 10", 4), ("6-hourly", 4), ("4 hourly", 6), ("早中晚各两片", 3), ("早晚各一片", 2), ("每餐一片", 3), ("6x/day", 6),
            ("every 4 hours, up to 4 times a day", 4), ("morning and night", 2),
        ],
    )  # fmt: skip
    def test_times_a_day(self, text: str, times: float) -> None:
        assert times_a_day(text) == pytest.approx(times)

    @pytest.mark.parametrize("text", ["8 g a day", "with food", "每周一次", "3 times this week", "for 6 hours", ""])
    def test_not_said(self, text: str) -> None:
        assert times_a_day(text) is None


class TestPeriod:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("15 mg once a week", "week"), ("15 mg weekly", "week"), ("每周15毫克", "week"), ("70 mg/wk", "week"),
            ("8 g a day", "day"), ("daily", "day"), ("in 24 hours", "day"), ("4 g/day", "day"), ("每天8克", "day"), ("24小时内", "day"),
            ("all at once", "once"), ("in one go", "once"), ("as a single dose", "once"), ("一次性吃", "once"), ("每次两片", "once"),
            ("8 g of paracetamol", None), ("吃8克", None), ("二十一天", None), ("一次3克", "once"),
        ],
    )  # fmt: skip
    def test_period(self, text: str, expected: str | None) -> None:
        assert period(text) == expected
