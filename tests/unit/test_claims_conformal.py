"""Conformal thresholds: what they promise holds in simulation, is not empty, and what can't be promised is refused."""

from __future__ import annotations

import json
import math
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from guardmed.claims.conformal import Band, ConformalThresholds, ScoredAnswer, answers_needed, fit_thresholds, load_thresholds, measure
from guardmed.errors import CalibrationError, DataError
from guardmed.files import write_json

SPLITS = 1000
# How many standard errors a mean of 1,000 splits may be off: one check in 15,000 fails by chance.
SLACK = 4.0
KINDS = ["informative", "uninformative", "tied", "tied and uninformative"]


def drawn(kind: str, count: int, generator: np.random.Generator, *, shift: float = 0.0, group: str | None = None) -> list[ScoredAnswer]:
    """Answers of 1 to 8 claims, about 3 in 10 false; a hard answer has more of them, with higher support."""
    sizes = generator.integers(1, 9, count)
    hard = np.repeat(generator.beta(2, 4, count), sizes)
    true = generator.random(len(hard)) > hard
    support = generator.random(len(hard))
    if "uninformative" not in kind:
        support = 1 / (1 + np.exp(-(generator.normal(size=len(hard)) + np.where(true, 1.0, -1.0) + shift + hard)))
    if "tied" in kind:
        support = np.round(support * 5) / 5
    edges = np.cumsum(sizes)[:-1]
    parts = zip(np.split(support, edges), np.split(true, edges), strict=True)
    return [ScoredAnswer(tuple(scores.tolist()), tuple(labels.tolist()), group) for scores, labels in parts]


@cache
def population(kind: str, shift: float = 0.0, group: str | None = None) -> tuple[list[ScoredAnswer], np.ndarray, np.ndarray]:
    """Answers to draw from, and by rising order the highest support of a false and the lowest of a true claim."""
    answers = drawn(kind, 20_000, np.random.default_rng(7), shift=shift, group=group)
    return answers, np.sort([answer.highest_false for answer in answers]), np.sort([answer.lowest_true for answer in answers])


def share_with_false(band: Band, highest: np.ndarray) -> float:
    return 0.0 if band.supported_from is None else 1 - np.searchsorted(highest, band.supported_from, side="left") / len(highest)


def share_accused(band: Band, lowest: np.ndarray) -> float:
    return np.searchsorted(lowest, band.unsupported_below, side="left") / len(lowest)


def at_most(shares: list[float], bound: float) -> bool:
    return np.mean(shares) <= bound + SLACK * np.std(shares) / math.sqrt(len(shares))


def at_least(shares: list[float], bound: float) -> bool:
    return np.mean(shares) >= bound - SLACK * np.std(shares) / math.sqrt(len(shares))


def without_the_one(answers: list[ScoredAnswer], alpha: float) -> Band:
    """The threshold that forgets the answer yet to come: the plain quantile."""
    quantile = sorted(answer.highest_false for answer in answers)[math.ceil(len(answers) * (1 - alpha)) - 1]
    return Band(supported_from=math.nextafter(max(quantile, 0.0), 1), answers=len(answers), claims=0)


def splits(kind: str, count: int, seed: int = 0):
    answers = population(kind)[0]
    generator = np.random.default_rng(seed)
    for _ in range(SPLITS):
        yield [answers[at] for at in generator.integers(0, len(answers), count)]


class TestPromise:
    @pytest.mark.parametrize("alpha", [0.05, 0.1, 0.3])
    @pytest.mark.parametrize("kind", KINDS)
    def test_at_most_alpha_of_answers_keep_a_false_claim(self, kind, alpha):
        _, highest, lowest = population(kind)
        bands = [fit_thresholds(part, alpha=alpha, beta=0.2).overall for part in splits(kind, 25)]
        shares = [share_with_false(band, highest) for band in bands]
        accused = [share_accused(band, lowest) for band in bands]
        assert at_most(shares, alpha)
        assert at_most(accused, 0.2)
        if "tied" not in kind:
            # Without ties the share is known: the floor of alpha * 26 over 26, which lies within 1/26 of alpha.
            exact = math.floor(round(alpha * 26, 9)) / 26
            assert alpha - 1 / 26 <= exact <= alpha
            assert at_least(shares, exact)
        if kind == "uninformative":  # the two thresholds cross where scores separate well
            assert at_least(accused, 5 / 26)

    def test_a_threshold_without_the_one_breaks_it(self):
        _, highest, _ = population("informative")
        parts = list(splits("informative", 10))
        assert at_most([share_with_false(fit_thresholds(part, alpha=0.1).overall, highest) for part in parts], 0.1)
        wrong = [share_with_false(without_the_one(part, 0.1), highest) for part in parts]
        assert not at_most(wrong, 0.1)
        assert np.mean(wrong) == pytest.approx(2 / 11, abs=0.02)

    def test_a_threshold_at_the_tie_breaks_it(self):
        _, highest, _ = population("tied")
        bands = [fit_thresholds(part, alpha=0.1).overall for part in splits("tied", 25)]
        lowered = [band.model_copy(update={"supported_from": math.nextafter(band.supported_from, 0)}) for band in bands if band.supported_from]
        assert lowered
        assert not at_most([share_with_false(band, highest) for band in lowered], 0.1)

    @pytest.mark.parametrize("kind", ["informative", "tied"])
    def test_it_holds_in_each_group_where_one_threshold_for_all_does_not(self, kind):
        names = {"en": 0.0, "zh": 1.5}
        pools = {name: population(kind, shift, name) for name, shift in names.items()}
        generator = np.random.default_rng(3)
        own: dict[str, list[float]] = {name: [] for name in names}
        common: dict[str, list[float]] = {name: [] for name in names}
        for _ in range(SPLITS):
            part = [pools[name][0][at] for name in names for at in generator.integers(0, 20_000, 30)]
            found = fit_thresholds(part, alpha=0.1)
            for name in names:
                own[name].append(share_with_false(found.band(name), pools[name][1]))
                common[name].append(share_with_false(found.overall, pools[name][1]))
        for name in names:
            assert at_most(own[name], 0.1)
            if kind == "informative":
                assert at_least(own[name], 3 / 31)
        if kind == "informative":  # with ties both are on the safe side
            assert not at_most(common["zh"], 0.1)
        assert at_most([(one + two) / 2 for one, two in zip(common["en"], common["zh"], strict=True)], 0.1)

    def test_held_out_answers_are_counted_as_the_promise_counts_them(self):
        found = fit_thresholds([ScoredAnswer((0.2, 0.8), (False, True))] * 9, alpha=0.1)
        held = [
            ScoredAnswer((0.3, 0.9), (False, True)),  # a false claim gets through
            ScoredAnswer((0.1, 0.2), (True, False)),  # nothing is left
            ScoredAnswer((0.8, None), (True, True)),
            ScoredAnswer((), ()),
        ]
        kept = measure(found, held)
        assert (kept.answers, kept.with_false, kept.shown, kept.with_false_of_shown) == (4, 0.25, 0.5, 0.5)
        assert (kept.true_kept, kept.false_kept, kept.accused) == (0.5, 0.5, 0.25)


SUPPORTS = st.one_of(st.none(), st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.floats(0, 1))
ANSWERS = st.lists(
    st.lists(st.tuples(SUPPORTS, st.booleans()), max_size=5).map(lambda rows: ScoredAnswer(tuple(row[0] for row in rows), tuple(row[1] for row in rows))),
    min_size=1,
    max_size=40,
)


class TestLaws:
    @given(answers=ANSWERS, alpha=st.sampled_from([0.05, 0.1, 0.5]), seed=st.integers(0, 9))
    def test_the_order_of_answers_and_claims_does_not_matter(self, answers, alpha, seed):
        generator = np.random.default_rng(seed)
        mixed = []
        for at in generator.permutation(len(answers)):
            order = generator.permutation(len(answers[at].supports))
            mixed.append(ScoredAnswer(tuple(answers[at].supports[i] for i in order), tuple(answers[at].true[i] for i in order)))
        assert fit_thresholds(mixed, alpha=alpha) == fit_thresholds(answers, alpha=alpha)

    @given(answers=ANSWERS, alphas=st.tuples(st.floats(0.01, 0.99), st.floats(0.01, 0.99)))
    def test_more_risk_never_releases_less_nor_calls_less_unsupported(self, answers, alphas):
        strict, loose = (fit_thresholds(answers, alpha=alpha, beta=0.2).overall for alpha in sorted(alphas))
        assert loose.supported_from is None or 0 <= loose.supported_from <= 1
        if strict.supported_from is not None:
            assert loose.supported_from is not None
            assert loose.supported_from <= strict.supported_from
        careful, harsh = (fit_thresholds(answers, alpha=0.2, beta=beta).overall for beta in sorted(alphas))
        assert careful.unsupported_below <= harsh.unsupported_below

    @given(answers=ANSWERS, alpha=st.floats(0.01, 0.99))
    def test_on_its_own_answers_no_more_than_alpha_times_n_plus_one_break_it(self, answers, alpha):
        kept = measure(fit_thresholds(answers, alpha=alpha), answers)
        assert round(kept.with_false * len(answers)) <= alpha * (len(answers) + 1) + 1e-9
        assert round(kept.accused * len(answers)) <= alpha * (len(answers) + 1) + 1e-9

    @given(support=st.one_of(st.none(), st.floats(0, 1)), low=st.floats(0, 1), high=st.floats(0, 1))
    def test_a_verdict_rises_with_support(self, support, low, high):
        band = Band(supported_from=max(low, high), unsupported_below=min(low, high), answers=100, claims=100)
        if support is None:
            assert band.verdict(support) == "uncertain"
        else:
            assert band.verdict(support) == ("supported" if support >= max(low, high) else "unsupported" if support < min(low, high) else "uncertain")


class TestTooLittle:
    @pytest.mark.parametrize(("alpha", "need"), [(0.5, 1), (0.3, 3), (0.2, 4), (0.1, 9), (0.05, 19), (0.01, 99)])
    def test_from_how_many_answers_on_something_is_released(self, alpha, need):
        assert answers_needed(alpha) == need
        good = ScoredAnswer((0.3, 0.9), (False, True))
        assert fit_thresholds([good] * need, alpha=alpha).verdict(0.9) == "supported"
        if need > 1:
            few = fit_thresholds([good] * (need - 1), alpha=alpha, beta=0.5)
            assert few.overall.supported_from is None
            assert few.verdict(1.0) == "uncertain"
            assert f"{need} are needed" in few.notes[0]

    def test_ranks_do_not_slip_by_a_rounding(self):
        # 1 - 0.7 is 0.30000000000000004 in floating point, which makes the 4th of 9 out of the 3rd.
        answers = [ScoredAnswer((at / 10,), (False,)) for at in range(1, 10)]
        assert fit_thresholds(answers, alpha=0.7).overall.supported_from == math.nextafter(0.3, 1)

    def test_a_false_claim_with_full_support_can_not_be_kept_out(self):
        found = fit_thresholds([ScoredAnswer((1.0,), (False,))] * 20, alpha=0.1)
        assert found.verdict(1.0) == "uncertain"
        assert "support of 1" in found.notes[0]

    def test_answers_without_a_false_claim_release_everything(self):
        found = fit_thresholds([ScoredAnswer((0.4,), (True,))] * 20, alpha=0.1)
        assert found.verdict(0.0) == "supported"

    def test_an_unknown_or_small_group_gets_the_strictest(self):
        easy = [ScoredAnswer((0.2, 0.7), (False, True), "en")] * 20
        hard = [ScoredAnswer((0.6, 0.9), (False, True), "zh")] * 20
        few = [ScoredAnswer((0.1,), (False,), "fr")] * 3
        found = fit_thresholds([*easy, *hard, *few], alpha=0.1)
        assert found.verdict(0.5, group="en") == "supported"
        assert found.too_small == {"fr": 3}
        for group in ("fr", "de", None):
            assert found.verdict(0.55, group=group) == "uncertain"
            assert found.verdict(0.65, group=group) == "supported"
            assert found.verdict(0.15, group=group) == "unsupported"
            assert not found.vouched(group)
        assert found.vouched("en")
        assert any("fr" in note and "9 are needed" in note for note in found.notes)

    def test_where_a_group_lets_nothing_through_the_strictest_is_nothing(self):
        answers = [ScoredAnswer((1.0,), (False,), "zh")] * 20 + [ScoredAnswer((0.2,), (False,), "en")] * 200
        found = fit_thresholds(answers, alpha=0.1)
        assert found.verdict(0.5, group="en") == "supported"
        assert found.verdict(1.0, group="fr") == "uncertain"

    def test_without_groups_any_group_is_served_by_all(self):
        found = fit_thresholds([ScoredAnswer((0.2,), (False,))] * 20, alpha=0.1)
        assert found.band("zh") == found.overall
        assert found.vouched("zh")

    def test_what_was_not_measured_is_never_released(self):
        found = fit_thresholds([ScoredAnswer((None, 0.4), (False, True))] * 20, alpha=0.1)
        assert found.overall.supported_from == 0.0
        assert found.verdict(None) == "uncertain"
        assert found.verdict(math.nan) == "uncertain"


class TestRefusals:
    @pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 1.5, math.nan, math.inf])
    def test_a_share_must_be_one(self, share):
        answers = [ScoredAnswer((0.2,), (False,))] * 20
        with pytest.raises(CalibrationError, match="alpha="):
            fit_thresholds(answers, alpha=share)
        with pytest.raises(CalibrationError, match="beta="):
            fit_thresholds(answers, alpha=0.1, beta=share)

    @pytest.mark.parametrize("support", [math.nan, -0.1, 1.1, math.inf])
    def test_a_support_must_be_a_number_from_0_to_1(self, support):
        with pytest.raises(CalibrationError, match="support"):
            ScoredAnswer((0.5, support), (True, False))

    def test_every_claim_needs_a_label_and_answers_groups_alike(self):
        with pytest.raises(CalibrationError, match="2 supports and 1 labels"):
            ScoredAnswer((0.5, 0.6), (True,))
        with pytest.raises(CalibrationError, match="no answers"):
            fit_thresholds([], alpha=0.1)
        with pytest.raises(CalibrationError, match="Answer 2 has no group"):
            fit_thresholds([ScoredAnswer((), (), "en"), ScoredAnswer((), ())], alpha=0.1)
        with pytest.raises(CalibrationError, match="no answers"):
            measure(fit_thresholds([ScoredAnswer((), ())], alpha=0.5), [])


class TestArtifact:
    @given(answers=ANSWERS, alpha=st.floats(0.01, 0.99))
    def test_comes_back_from_json_as_it_was(self, answers, alpha):
        found = fit_thresholds(answers, alpha=alpha)
        for dropped in (True, False):  # a calibration artifact is written without what is None
            text = json.dumps(found.model_dump(mode="json", exclude_none=dropped), allow_nan=False)
            assert ConformalThresholds.model_validate(json.loads(text)) == found

    def test_comes_back_from_a_file_with_groups(self, tmp_path):
        answers = [ScoredAnswer((0.1 + at / 100, 0.9), (False, True), ("en", "zh", "fr")[at // 30]) for at in range(65)]
        found = fit_thresholds(answers, alpha=0.1, beta=0.3, score_source="consistency")
        write_json(tmp_path / "thresholds.json", found.model_dump(mode="json", exclude_none=True))
        back = load_thresholds(tmp_path / "thresholds.json")
        assert back == found
        assert (back.answers, back.claims, back.score_source, sorted(back.groups), back.too_small) == (65, 130, "consistency", ["en", "zh"], {"fr": 5})

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            (("alpha",), math.nan),
            (("alpha",), 0.0),
            (("alpha",), 1.0),
            (("beta",), math.inf),
            (("beta",), True),
            (("schema_version",), 2),
            (("kind",), "calibration"),
            (("data_digest",), "abc"),
            (("score_source",), ""),
            (("overall", "supported_from"), math.nan),
            (("overall", "supported_from"), 1.2),
            (("overall", "supported_from"), "0.5"),
            (("overall", "unsupported_below"), math.nan),
            (("overall", "unsupported_below"), 0.9),  # over supported_from
            (("overall", "answers"), 8),  # too few for alpha
            (("overall", "answers"), -1),
            (("groups",), {"en": {"supported_from": 0.5, "answers": 3, "claims": 3}}),
            (("unknown",), 1),
        ],
    )
    def test_refuses_what_can_not_be(self, path, value):
        data = fit_thresholds([ScoredAnswer((0.2, 0.7), (False, True))] * 20, alpha=0.1).model_dump(mode="json")
        assert ConformalThresholds.model_validate(data)
        place = data
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = value
        with pytest.raises(ValidationError):
            ConformalThresholds.model_validate(data)

    def test_another_file_and_another_score_are_refused(self, tmp_path):
        write_json(tmp_path / "other.json", {"schema_version": 1, "kind": "calibration"})
        with pytest.raises(DataError, match=r"other\.json does not hold conformal thresholds"):
            load_thresholds(tmp_path / "other.json")
        found = fit_thresholds([ScoredAnswer((0.2,), (False,))] * 20, alpha=0.1, score_source="claim_support+abc")
        found.check(score_source="claim_support+abc")
        with pytest.raises(CalibrationError, match=r"claim_support\+abc, not for claim_support\+def"):
            found.check(score_source="claim_support+def")

    def test_a_threshold_left_out_releases_nothing(self):
        data = fit_thresholds([ScoredAnswer((0.2,), (False,))] * 20, alpha=0.1).model_dump(mode="json")
        del data["overall"]["supported_from"]
        assert ConformalThresholds.model_validate(data).verdict(1.0) == "uncertain"

    def test_the_digest_tells_data_apart(self):
        def digest(*answers):
            return fit_thresholds(answers, alpha=0.5).data_digest

        one = ScoredAnswer((0.2, None), (False, True))
        others = [ScoredAnswer((0.2, None), (True, True)), ScoredAnswer((0.3, None), (False, True)), ScoredAnswer((0.2, None), (False, True), "en")]
        assert len({digest(one), *(digest(other) for other in others), digest(one, one)}) == 5
