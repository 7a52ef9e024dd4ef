from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from guardmed.models.prefixes import Family, families, most, packed

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


def held(batch: list[Family], rows: list[list[int]]) -> int:
    """Tokens whose keys and values a batch holds, padding and copies counted."""
    shared = max(family.shared for family in batch)
    longest = max(len(rows[index]) - family.shared for family in batch for index in family.members)
    return (shared + longest) * sum(len(family.members) for family in batch)


class TestPacked:
    @given(ROWS, st.integers(1, 400))
    def test_every_row_once_and_never_mixed(self, rows: list[list[int]], tokens: int) -> None:
        batches = packed(families(rows, limits(rows)), rows, tokens)
        assert sorted(index for batch in batches for family in batch for index in family.members) == list(range(len(rows)))
        assert all(len({family.shared > 0 for family in batch}) == 1 for batch in batches)
        assert all((family.shared == 0) == (len(family.members) == 1) for batch in batches for family in batch)

    @given(ROWS, st.integers(60, 400))
    def test_families_that_fit_are_not_split(self, rows: list[list[int]], tokens: int) -> None:
        found = [family for family in families(rows, limits(rows)) if len(family.members) <= 4]
        batches = packed(found, rows, tokens * 4)
        assert sorted((family for batch in batches for family in batch), key=lambda one: one.members) == sorted(found, key=lambda one: one.members)

    @given(ROWS, st.integers(1, 400))
    def test_a_batch_never_holds_more_than_four_times_its_tokens(self, rows: list[list[int]], tokens: int) -> None:
        for batch in packed(families(rows, limits(rows)), rows, tokens):
            assert held(batch, rows) <= 4 * tokens or sum(len(family.members) for family in batch) == 1

    def test_a_long_beginning_is_copied_to_no_more_members_than_fit(self) -> None:
        rows = [[1] * 1000 + [2 + index] for index in range(10)]
        batches = packed(families(rows, limits(rows)), rows, 1001)
        assert [[(family.shared, len(family.members)) for family in batch] for batch in batches] == [[(1000, 3)], [(1000, 3)], [(1000, 4)]]
        assert packed(families(rows, limits(rows)), rows, 10_010) == [families(rows, limits(rows))]

    def test_many_continuations_are_split_by_what_they_read(self) -> None:
        rows = [[1] * 20 + [2 + index] * 50 for index in range(8)]
        batches = packed(families(rows, limits(rows)), rows, 200)
        assert [len(family.members) for batch in batches for family in batch] == [4, 4]

    def test_families_share_a_batch_only_as_far_as_their_copies_fit(self) -> None:
        rows = [[family] * 99 + [10 + member] for family in range(6) for member in range(4)]
        assert [len(batch) for batch in packed(families(rows, limits(rows)), rows, 300)] == [2, 2, 2]

    def test_a_batch_holds_about_as_many_tokens_as_it_may(self) -> None:
        rows = [[index] * 50 for index in range(10)]
        sizes = [len(batch) for batch in packed(families(rows, limits(rows)), rows, 200)]
        assert sizes == [4, 4, 2]

    def test_a_row_longer_than_a_batch_has_one_of_its_own(self) -> None:
        rows = [[1] * 500, [2] * 10]
        assert [len(batch) for batch in packed(families(rows, limits(rows)), rows, 100)] == [1, 1]


class TestMost:
    def test_rows_that_continue_one_cache_hold_a_copy_each(self) -> None:
        assert most(0, 10, 100) == 10
        assert most(30, 10, 100) == 10
        assert most(90, 10, 100) == 4
        assert most(5000, 10, 100) == most(10, 5000, 100) == 1
        assert most(0, 0, 100) >= 1
