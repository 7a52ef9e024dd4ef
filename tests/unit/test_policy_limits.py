from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from guardmed.documents import read_yaml
from guardmed.policy.limits import AdultLimit, DoseLimits, DrugLimit, Quantity
from guardmed.resources import data_folder


@pytest.fixture(scope="module")
def table() -> DoseLimits:
    return read_yaml(data_folder("policies") / "clinical" / "dose_limits.yaml", DoseLimits)


class TestQuantity:
    @pytest.mark.parametrize(
        ("value", "unit", "dimension", "base", "words"),
        [
            (8, "g", "mass", 8000, "8 g"),
            (500, "mg", "mass", 500, "500 mg"),
            (4000, "mg", "mass", 4000, "4 g"),
            (10, "mcg", "mass", 0.01, "10 mcg"),
            (5, "mL", "volume", 5, "5 mL"),
            (100, "IU", "activity", 100, "100 IU"),
            (100, "units", "activity", 100, "100 units"),
            (40, "mmol", "substance", 40, "40 mmol"),
        ],
    )
    def test_units(self, value: float, unit: str, dimension: str, base: float, words: str) -> None:
        quantity = Quantity(value=value, unit=unit)
        assert quantity.dimension == dimension
        assert quantity.base == pytest.approx(base)
        assert str(quantity) == words

    @pytest.mark.parametrize(
        ("stated", "limit", "times", "exceeds"),
        [
            ((4, "g"), (4000, "mg"), 1.0, False),
            ((4001, "mg"), (4, "g"), 1.0, True),
            ((10, "mg"), (300, "mcg"), 1.0, True),
            ((10, "mcg"), (10, "mg"), 1.0, False),
            ((7, "g"), (4, "g"), 2.0, False),
            ((9, "g"), (4, "g"), 2.0, True),
            ((500, "mL"), (4, "g"), 1.0, False),
            ((5000, "IU"), (4, "mg"), 1.0, False),
        ],
    )
    def test_exceeds(self, stated: tuple[float, str], limit: tuple[float, str], times: float, exceeds: bool) -> None:
        assert Quantity(value=stated[0], unit=stated[1]).exceeds(Quantity(value=limit[0], unit=limit[1]), times) is exceeds

    @given(st.floats(0.001, 1000), st.floats(0.01, 100))
    def test_times_scales_the_base(self, value: float, factor: float) -> None:
        assert Quantity(value=value, unit="g").times(factor).base == pytest.approx(value * factor * 1000)

    def test_rounding_does_not_exceed(self) -> None:
        assert not Quantity(value=0.1, unit="g").times(3).exceeds(Quantity(value=300, unit="mg"))

    @pytest.mark.parametrize("text", ["500", "mg", "500 mgs", "five mg", "500mg", "-5 mg", "5 stone"])
    def test_what_the_table_may_not_say(self, text: str) -> None:
        with pytest.raises(ValidationError, match="is not a quantity"):
            AdultLimit(daily=text)  # type: ignore[arg-type]

    def test_text_of_the_table_is_read(self) -> None:
        assert AdultLimit(daily="2.5 mg").daily == Quantity(value=2.5, unit="mg")  # type: ignore[arg-type]


class TestTable:
    def test_loads_with_many_drugs_each_once(self, table: DoseLimits) -> None:
        ids = [drug.id for drug in table.drugs]
        assert len(ids) == len(set(ids)) >= 100

    def test_every_drug_has_a_source_and_names_in_both_languages(self, table: DoseLimits) -> None:
        lacking = [drug.id for drug in table.drugs if not drug.source.strip() or not drug.names.get("en") or not drug.names.get("zh")]
        assert lacking == []

    def test_no_dose_is_more_than_a_day(self, table: DoseLimits) -> None:
        odd = [drug.id for drug in table.drugs if drug.adult.single and drug.adult.daily and drug.adult.single.exceeds(drug.adult.daily)]
        assert odd == []

    def test_older_people_never_get_more(self, table: DoseLimits) -> None:
        odd = [
            drug.id
            for drug in table.drugs
            for group in (drug.elderly, drug.renal)
            if group
            and any(
                a and b and a.exceeds(b) for a, b in ((group.single, drug.adult.single), (group.daily, drug.adult.daily), (group.weekly, drug.adult.weekly))
            )
        ]
        assert odd == []

    def test_every_limit_is_more_than_nothing(self, table: DoseLimits) -> None:
        limits = [limit for drug in table.drugs for limit in (drug.adult.single, drug.adult.daily, drug.adult.weekly) if limit]
        assert limits
        assert all(limit.base > 0 for limit in limits)

    @pytest.mark.parametrize(
        ("drug", "period", "limit"), [("paracetamol", "daily", "4 g"), ("ibuprofen", "daily", "3.2 g"), ("methotrexate-oral", "weekly", "30 mg")]
    )
    def test_figures(self, table: DoseLimits, drug: str, period: str, limit: str) -> None:
        (found,) = [entry for entry in table.drugs if entry.id == drug]
        assert str(getattr(found.adult, period)) == limit

    def test_a_drug_without_a_figure_is_refused(self) -> None:
        with pytest.raises(ValidationError, match="at least one of single, daily, weekly"):
            DrugLimit(id="x", names={"en": ["x"], "zh": ["x"]}, route="oral", adult=AdultLimit(), source="BNF")

    def test_a_drug_without_a_source_is_refused(self) -> None:
        with pytest.raises(ValidationError, match="source"):
            DrugLimit.model_validate({"id": "x", "names": {"en": ["x"]}, "route": "oral", "adult": {"daily": "1 g"}})

    def test_enough_drugs_have_limits_for_older_people_and_for_kidneys(self, table: DoseLimits) -> None:
        assert sum(drug.elderly is not None for drug in table.drugs) >= 15
        assert sum(drug.renal is not None for drug in table.drugs) >= 15
        assert sum(drug.paediatric is not None for drug in table.drugs) >= 80

    def test_enough_drugs_have_names_in_both_languages_and_a_source(self, table: DoseLimits) -> None:
        named = [d for d in table.drugs if any(n.isascii() for n in d.names.get("en", [])) and any(not n.isascii() for n in d.names.get("zh", [])) and d.source]
        assert len(named) >= 80

    def test_a_child_never_gets_more_than_an_adult_at_the_weight_of_one(self, table: DoseLimits) -> None:
        odd = [
            drug.id
            for drug in table.drugs
            for child, adult in ((drug.paediatric and drug.paediatric.single, drug.adult.single), (drug.paediatric and drug.paediatric.daily, drug.adult.daily))
            if child and adult and child.exceeds(adult)
        ]
        assert odd == []
