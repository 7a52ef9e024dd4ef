from __future__ import annotations

import itertools
import operator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardmed.decision import Decision, strictest

ORDER = [Decision.ALLOW, Decision.CAVEAT, Decision.REDACT, Decision.ABSTAIN, Decision.REFUSE, Decision.ESCALATE]
SOME = st.lists(st.sampled_from(ORDER), max_size=8)


@pytest.mark.parametrize("compare", [operator.lt, operator.le, operator.gt, operator.ge])
def test_order_is_strictness_not_the_alphabet(compare: object) -> None:
    for (i, a), (j, b) in itertools.product(enumerate(ORDER), repeat=2):
        assert compare(a, b) is compare(i, j)  # type: ignore[operator]


def test_ranks_and_sorting() -> None:
    assert [decision.rank for decision in ORDER] == list(range(6))
    assert sorted(ORDER, key=lambda decision: decision.value) != ORDER
    assert sorted(sorted(ORDER, key=lambda decision: decision.value)) == ORDER
    assert max(ORDER) is Decision.ESCALATE


def test_what_stops_an_answer() -> None:
    assert [decision for decision in ORDER if decision.stops] == [Decision.ABSTAIN, Decision.REFUSE, Decision.ESCALATE]


def test_none_given_allows() -> None:
    assert strictest([]) is Decision.ALLOW


@given(SOME, SOME)
def test_more_verdicts_never_weaken(some: list[Decision], more: list[Decision]) -> None:
    assert strictest([*some, *more]) >= strictest(some)
    assert strictest([*some, *more]) is strictest([strictest(some), strictest(more)])
    assert strictest([*more, *some]) is strictest([*some, *more])
    assert strictest(some + some) is strictest(some)
    assert all(strictest(some) >= decision for decision in some)
