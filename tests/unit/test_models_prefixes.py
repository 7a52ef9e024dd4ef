from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from guardmed.models.prefixes import Family, families, packed

ROWS = st.lists(st.lists(st.integers(0, 2), min_size=2, max_size=60), min_size=1, max_size=12)


def limits(rows: list[list[int]]) -> list[int]:
    return [len(row) - 1 for row in rows]


def read(found: list[Family], rows: list[list[int]]) -> int:
    """Tokens that have to be read, padding aside."""
    return sum(family.shared + sum(len(rows[index]) - family.shared for index in family.members) for family in found)


class TestFamilies:
    def test_two_orders_of_one_question_share_what_comes_before_them(self) -> None:
        told = list(range(100))
        assert families([[*told, 1, 2], [*told, 2, 1]], [101, 101]) == [Family(100, (0, 1))]

    def test_rows_that_share_too_little_stand_alone(self) -> None:
        rows = [[1, 2, 3, *range(10, 60)], [1, 2, 3, *range(70, 120)]]
        assert sorted(families(rows, limits(rows)), key=lambda family: family.members) == [Family(0, (0,)), Family(0, (1,))]

    def test_pairs_are_kept_where_four_share_less(self) -> None:
        a, b = [7] * 20 + [1] * 80, [7] * 20 + [2] * 80
        rows = [[*a, 1], [*b, 1], [*a, 2], [*b, 2]]
        assert sorted(families(rows, limits(rows)), key=lambda family: family.members) == [Family(100, (0, 2)), Family(100, (1, 3))]

    def test_no_row_shares_beyond_its_limit(self) -> None:
        rows = [[5] * 60, [5] * 60]
        assert families(rows, [30, 59]) == [Family(30, (0, 1))]

    def test_the_very_same_row_twice(self) -> None:
        rows = [[5] * 60, [5] * 60]
        assert families(rows, limits(rows)) == [Family(59, (0, 1))]

    @given(ROWS)
    def test_every_row_once_and_what_is_shared_is_the_same(self, rows: list[list[int]]) -> None:
        found = families(rows, limits(rows))
        assert sorted(index for family in found for index in family.members) == list(range(len(rows)))
        for family in found:
            assert len({tuple(rows[index][: family.shared]) for index in family.members}) == 1
            assert family.shared <= min(len(rows[index]) - 1 for index in family.members)
            assert (family.shared == 0) == (len(family.members) == 1)

    @given(ROWS)
    def test_it_never_reads_more_than_each_row_by_itself(self, rows: list[list[int]]) -> None:
        assert read(families(rows, limits(rows)), rows) <= sum(map(len, rows))


class TestPacked:
    @given(ROWS, st.integers(20, 400))
    def test_every_family_once_and_never_mixed(self, rows: list[list[int]], tokens: int) -> None:
        found = families(rows, limits(rows))
        batches = packed(found, rows, tokens)
        assert sorted((family for batch in batches for family in batch), key=lambda one: one.members) == sorted(found, key=lambda one: one.members)
        assert all(len({family.shared > 0 for family in batch}) == 1 for batch in batches)

    def test_a_batch_holds_about_as_many_tokens_as_it_may(self) -> None:
        rows = [[index] * 50 for index in range(10)]
        sizes = [len(batch) for batch in packed(families(rows, limits(rows)), rows, 200)]
        assert sizes == [4, 4, 2]

    def test_a_row_longer_than_a_batch_has_one_of_its_own(self) -> None:
        rows = [[1] * 500, [2] * 10]
        assert [len(batch) for batch in packed(families(rows, limits(rows)), rows, 100)] == [1, 1]
