"""F1, rates and means of an evaluation, held against seqeval and scikit-learn, and their laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardmed.evaluate.figures import Counts, pooled, rate
from guardmed.evaluate.spans import chunks

LABELS = ("dis", "dru", "sym")
_tag = st.sampled_from(["O", *(f"{mark}-{label}" for mark in "BIES" for label in LABELS)])
_pairs = st.integers(1, 12).flatmap(lambda size: st.tuples(st.lists(_tag, min_size=size, max_size=size), st.lists(_tag, min_size=size, max_size=size)))
_codes = st.lists(st.tuples(st.sets(st.sampled_from("ABCDE"), max_size=3), st.sets(st.sampled_from("ABCDE"), max_size=3)), min_size=1, max_size=12)


def by_label(tags: list[str]) -> dict[str, set[tuple[int, int]]]:
    found: dict[str, set[tuple[int, int]]] = {}
    for label, first, last in chunks(tags):
        found.setdefault(label, set()).add((first, last))
    return found


def as_labels(codes: set[str]) -> dict[str, set[str]]:
    return {code: {code} for code in codes}


@settings(max_examples=40)
@given(st.lists(_pairs, min_size=1, max_size=6))
def test_entities_are_read_and_scored_as_seqeval_does(sentences):
    metrics = pytest.importorskip("seqeval.metrics", reason="seqeval, the oracle of entity F1, is not here: pip install seqeval")
    gold, said = ([pair[at] for pair in sentences] for at in (0, 1))
    counts = Counts.of([by_label(tags) for tags in gold], [by_label(tags) for tags in said])
    for average in ("micro", "macro"):
        expected = metrics.f1_score(gold, said, average=average, zero_division=0) if counts.labels else 0.0
        assert getattr(counts, average)(seed=0).value == pytest.approx(float(expected))
    if counts.labels:
        assert counts.precision == pytest.approx(float(metrics.precision_score(gold, said, zero_division=0)))
        assert counts.recall == pytest.approx(float(metrics.recall_score(gold, said, zero_division=0)))


@settings(max_examples=40)
@given(_codes)
def test_codes_are_scored_as_scikit_learn_does(cases):
    from sklearn.metrics import f1_score

    counts = Counts.of([as_labels(gold) for gold, _ in cases], [as_labels(said) for _, said in cases])
    if not counts.labels:
        assert counts.micro(seed=0).value == counts.macro(seed=0).value == 0.0
        return
    # With a column that is always 0 beside, scikit-learn takes a single code for several labels too.
    labels = [*counts.labels, "none"]
    gold, said = (np.array([[label in case[at] for label in labels] for case in cases], dtype=int) for at in (0, 1))
    for average in ("micro", "macro"):
        assert getattr(counts, average)(seed=0).value == pytest.approx(f1_score(gold, said, average=average, labels=range(len(counts.labels)), zero_division=0))
    for label, figure in counts.by_label(seed=0).items():
        at = counts.labels.index(label)
        assert figure.value == pytest.approx(f1_score(gold[:, at], said[:, at], zero_division=0))


@settings(max_examples=40)
@given(_codes)
def test_an_interval_holds_its_figure_and_is_never_a_point(cases):
    counts = Counts.of([as_labels(gold) for gold, _ in cases], [as_labels(said) for _, said in cases])
    for figure in (counts.micro(seed=0), *counts.by_label(seed=0).values()):
        low, high = figure.interval
        assert 0 <= low <= figure.value <= high <= 1
        assert low < high
        assert figure.n == len(cases)


def test_a_bootstrap_of_equal_items_still_has_the_width_of_few():
    perfect = [as_labels({"I10"})] * 5
    assert Counts.of(perfect, perfect).micro(seed=0).interval[0] == pytest.approx(2 * 0.5655 / 1.5655, abs=1e-3)  # Wilson: 5 of 5 is at least 0.5655
    low, high = Counts.of(perfect, perfect).macro(seed=0).interval
    assert (low < 0.8, high) == (True, 1.0)
    assert Counts.of(perfect, [{}] * 5).micro(seed=0).interval[1] > 0.5


def test_right_answers_in_no_case_at_all():
    counts = Counts.of([{}, {}], [{}, {}])
    assert (counts.micro(seed=0).interval, counts.macro(seed=0).interval) == ((0.0, 1.0), (0.0, 1.0))
    assert (counts.precision, counts.recall) == (0.0, 0.0)


def test_rates_of_prompts_on_one_topic_are_less_sure():
    outcomes = [True] * 20 + [False] * 20
    alone, together = rate(outcomes), rate(outcomes, clusters=["a"] * 20 + ["b"] * 20)
    assert alone.value == together.value == 0.5
    assert together.interval[1] - together.interval[0] > 2 * (alone.interval[1] - alone.interval[0])


def test_a_pooled_mean_weighs_items_by_what_they_hold():
    figure = pooled([10.0, 0.0], [1, 9], seed=0)
    assert (figure.value, figure.n) == (1.0, 2)
    assert pooled([3, 2, 0], [3, 2, 0], seed=0, shares=True).interval[0] < 0.6  # five of five are few
    assert pooled([3, 2, 0], [3, 2, 0], seed=0, shares=True).n == 2
