from __future__ import annotations

import math

import numpy as np
import pytest

from guardmed.errors import ExecutionError
from guardmed.models.base import shares


def test_log_probabilities_become_shares_among_the_options():
    assert shares([math.log(0.03), math.log(0.01)]) == pytest.approx([0.75, 0.25])


def test_an_option_without_any_probability_has_no_share():
    assert shares([math.log(0.2), -math.inf]).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("given", [[-math.inf, -math.inf], [math.nan, -1.0]])
def test_where_none_is_named_there_is_nothing_to_share(given):
    with pytest.raises(ExecutionError, match="none of the options"):
        shares(np.array(given))
