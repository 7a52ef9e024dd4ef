"""The probe of hidden states: it finds what is there, says so honestly, and refuses what is not its own."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from guardmed.claims.probe import FOLDS, MIN_GROUPS, MIN_ROWS, STRENGTHS, Probe, load_probe, pool_hidden, train_probe
from guardmed.errors import CalibrationError, DataError, ExecutionError, UsageError
from guardmed.models.base import TokenScores
from guardmed.text import Span

MINE = "a" * 64
LAYERS = [9, 14]
WIDTH = 6


def claims(*, rows=240, questions=60, signal=1.5, seed=0):
    """Claims whose truth one direction of the second layer tells, so far as ``signal`` goes, and their questions."""
    generator = np.random.default_rng(seed)
    groups = np.arange(rows) % questions
    labels = generator.random(rows) < 0.5
    features = generator.standard_normal((rows, 2 * WIDTH)) * np.linspace(0.1, 300, 2 * WIDTH) + 40
    # The second number of the second layer.
    features[:, WIDTH + 1] += signal * np.linspace(0.1, 300, 2 * WIDTH)[WIDTH + 1] * (2 * labels - 1)
    # What a question's claims have in common, and says nothing of truth.
    features[:, :WIDTH] += 20 * generator.standard_normal((questions, WIDTH))[groups]
    return features, labels, [f"q{group}" for group in groups]


def trained(**options):
    features, labels, groups = claims(**options)
    return train_probe(features, labels, groups, fingerprint=MINE, layers=LAYERS)


@pytest.fixture(scope="module")
def probe() -> Probe:
    return trained().probe


def test_a_direction_that_tells_truth_is_found(probe):
    features, labels, _ = claims(seed=5)
    said = probe.probability(features)
    assert (said[labels].mean() - said[~labels].mean()) > 0.5
    assert int(np.argmax(np.abs(probe.weights))) == WIDTH + 1
    assert probe.card.held_out.auroc > 0.9
    assert probe.card.held_out.interval[0] > 0.85
    # As often right as it says.
    assert said.mean() == pytest.approx(labels.mean(), abs=0.08)
    assert ((said > 0.5) == labels).mean() > 0.85


def test_the_held_out_figure_is_what_new_questions_show(probe):
    features, labels, _ = claims(rows=2000, questions=500, seed=8)
    said = probe.probability(features)
    fresh = (said[labels][:, None] > said[~labels][None]).mean()
    assert probe.card.held_out.interval[0] <= fresh <= probe.card.held_out.interval[1]


def test_where_there_is_nothing_to_find_it_says_so():
    found = trained(signal=0.0)
    low, high = found.probe.card.held_out.interval
    assert low < 0.5 < high
    assert np.abs(found.held_out - 0.5).mean() < 0.1
    assert found.probe.card.strength > trained().probe.card.strength


def test_learning_the_questions_by_heart_does_not_count():
    """Claims of one question are alike and have one label: only whole questions held out show that nothing was learnt."""
    generator = np.random.default_rng(3)
    groups = np.repeat(np.arange(60), 5)
    features = generator.standard_normal((60, 2 * WIDTH))[groups] + 0.01 * generator.standard_normal((300, 2 * WIDTH))
    labels = (generator.random(60) < 0.5)[groups]
    card = train_probe(features, labels, list(groups), fingerprint=MINE, layers=LAYERS).probe.card
    assert card.held_out.interval[0] < 0.5 < card.held_out.interval[1]


def test_held_out_probabilities_are_of_fits_without_the_question():
    """Turning the labels of one question leaves what was said of it, in the same parts, as it was."""
    features, labels, groups = claims(signal=0.8)
    mine = np.array(groups) == "q7"
    labels[np.flatnonzero(mine)[:2]], labels[np.flatnonzero(mine)[2:]] = True, False
    turned = labels.copy()
    turned[mine] = ~labels[mine]
    one, other = (train_probe(features, truth, groups, fingerprint=MINE, layers=LAYERS) for truth in (labels, turned))
    np.testing.assert_allclose(one.held_out[mine], other.held_out[mine], atol=1e-6)
    assert np.abs(one.probe.probability(features[mine]) - other.probe.probability(features[mine])).max() > 1e-3


def test_controls_come_with_every_figure():
    features, labels, groups = claims(signal=0.3)
    lengths = 20 + 15 * labels + np.random.default_rng(1).integers(0, 9, len(labels))
    card = train_probe(features, labels, groups, fingerprint=MINE, layers=LAYERS, lengths=lengths).probe.card
    assert set(card.controls) == {"random", "length"}
    assert card.controls["random"].interval[0] < 0.5 < card.controls["random"].interval[1]
    assert card.controls["length"].auroc > card.held_out.auroc


def test_the_card_says_what_it_was_trained_on(probe):
    _, labels, _ = claims()
    card = probe.card
    assert (card.fingerprint, card.layers, card.width) == (MINE, LAYERS, WIDTH)
    assert (card.rows, card.true, card.groups) == (240, int(labels.sum()), 60)
    assert card.strength in STRENGTHS
    assert trained().probe.card == card
    assert trained(seed=1).probe.card.data_digest != card.data_digest


def test_it_comes_back_from_its_file_as_it_was(probe, tmp_path):
    path = tmp_path / "truth.safetensors"
    probe.save(path)
    again = load_probe(path, fingerprint=MINE)
    features, _, _ = claims(seed=2)
    assert again.card == probe.card
    assert (again.probability(features) == probe.probability(features)).all()


def test_applying_takes_numpy_alone(probe, tmp_path):
    probe.save(tmp_path / "truth.safetensors")
    code = (
        "import sys; from guardmed.claims.probe import load_probe; import numpy as np\n"
        f"print(load_probe({str(tmp_path / 'truth.safetensors')!r}, fingerprint={MINE!r}).probability(np.zeros((1, {2 * WIDTH}))).shape)\n"
        "print(sorted(set(sys.modules) & {'torch', 'scipy', 'sklearn', 'transformers'}))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split("\n")[:2] == ["(1,)", "[]"]


def test_another_models_probe_is_refused(probe, tmp_path):
    probe.save(tmp_path / "truth.safetensors")
    with pytest.raises(CalibrationError, match=r"aaaaaaaaaaaa, .* bbbbbbbbbbbb"):
        load_probe(tmp_path / "truth.safetensors", fingerprint="b" * 64)


def written(probe, path, *, card=None, **changed):
    tensors = {"weights": probe.weights, "mean": probe.mean, "scale": probe.scale, "bias": np.array([probe.bias])} | changed
    given = {name: np.ascontiguousarray(value) for name, value in tensors.items() if value is not None}
    save_file(given, path, metadata={"guardmed_probe": probe.card.model_dump_json() if card is None else card} if card != "" else None)
    return path


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"weights": np.zeros(5)}, "weights is not 12"),
        ({"weights": np.full(2 * WIDTH, np.nan)}, "weights is not 12"),
        ({"mean": np.full(2 * WIDTH, np.inf)}, "mean is not 12"),
        ({"scale": np.zeros(2 * WIDTH)}, "scale is not above 0"),
        ({"scale": np.ones((2, WIDTH))}, "scale is not 12"),
        ({"bias": np.zeros(2)}, "bias is not 1"),
        ({"bias": np.zeros(1, dtype=np.float32)}, "bias is not 1 float64"),
        ({"bias": None}, "a probe is weights, mean, scale, bias"),
        ({"more": np.zeros(1)}, "a probe is weights, mean, scale, bias"),
        ({"weights": np.zeros(2 * WIDTH)}, "not those it was saved with"),
        ({"card": ""}, "no probe's card"),
        ({"card": "{}"}, "fingerprint"),
        ({"card": "[" * 100_000}, "no sound safetensors file"),
        ({"card": "half"}, "no sound safetensors file"),
    ],
)
def test_a_file_that_is_no_probe_says_why(probe, tmp_path, changed, told):
    with pytest.raises(DataError, match=told):
        load_probe(written(probe, tmp_path / "truth.safetensors", **changed), fingerprint=MINE)


@pytest.mark.parametrize("content", [b"", b"\x80\x04N.", b"\xff" * 40, b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
def test_bytes_that_are_no_safetensors_say_so(tmp_path, content):
    (tmp_path / "truth.safetensors").write_bytes(content)
    with pytest.raises(DataError, match="safetensors"):
        load_probe(tmp_path / "truth.safetensors", fingerprint=MINE)


def test_what_can_not_be_a_probe_is_not_read(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        load_probe(tmp_path / "none.safetensors", fingerprint=MINE)
    with open(tmp_path / "large.safetensors", "wb") as file:
        file.truncate(50_000_000)
    with pytest.raises(DataError, match="too large"):
        load_probe(tmp_path / "large.safetensors", fingerprint=MINE)


def test_what_can_not_be_trained_on_says_why():
    features, labels, groups = claims()

    def train(x=features, y=labels, g=groups, layers=LAYERS, **more):
        return train_probe(x, y, g, fingerprint=MINE, layers=layers, **more)

    with pytest.raises(DataError, match="All 240 claims are true"):
        train(y=np.ones(240))
    with pytest.raises(DataError, match=f"{MIN_ROWS - 1} claims are too few"):
        train(features[: MIN_ROWS - 1], labels[: MIN_ROWS - 1], groups[: MIN_ROWS - 1])
    with pytest.raises(DataError, match=f"Only {MIN_GROUPS - 1} questions .* false"):
        few = np.ones(240, dtype=bool)
        few[: MIN_GROUPS - 1] = False
        train(y=few)
    for bad in (features[:, :-1], features[:, 0], features[:0], features[:5]):
        with pytest.raises(DataError, match="fit each other"):
            train(bad)
    with pytest.raises(DataError, match="fit each other"):
        train(layers=[])
    with pytest.raises(DataError, match="no number"):
        train(np.where(np.arange(240)[:, None] == 3, np.nan, features))
    with pytest.raises(DataError, match="no label"):
        train(y=np.arange(240) % 3)
    with pytest.raises(DataError, match="one length"):
        train(lengths=[1, 2])


def test_each_kind_is_left_out_in_every_part():
    """One question in four has a true claim; still no part of the cross-validation lacks either kind."""
    features, _, groups = claims(rows=120, questions=40)
    labels = np.array([int(group[1:]) % 4 == 0 for group in groups])
    found = train_probe(features, labels, groups, fingerprint=MINE, layers=LAYERS)
    assert np.isfinite(found.probe.card.held_out.auroc)
    assert len(set(groups)) >= FOLDS * 2


def test_a_feature_that_never_changes_has_no_say():
    features, labels, groups = claims()
    features[:, 3] = 7e30
    probe = train_probe(features, labels, groups, fingerprint=MINE, layers=LAYERS).probe
    assert abs(probe.weights[3]) < 1e-12
    assert np.isfinite(probe.probability(features)).all()


@given(st.integers(1, 5), st.floats(-1e6, 1e6))
def test_a_probability_whatever_the_features(rows, value):
    found = Probe(np.full(4, 1e3), np.zeros(4), np.full(4, 1e-3), 0.5, trained_card()).probability(np.full((rows, 4), value))
    assert found.shape == (rows,)
    assert ((found >= 0) & (found <= 1)).all()


_CARD = []


def trained_card():
    _CARD[:] = _CARD or [trained(rows=80, questions=40).probe.card]
    return _CARD[0]


def test_features_of_another_kind_are_refused(probe):
    for bad in (np.zeros(2 * WIDTH), np.zeros((3, 5))):
        with pytest.raises(UsageError, match="12"):
            probe.probability(bad)
    with pytest.raises(ExecutionError, match="no number"):
        probe.probability(np.full((1, 2 * WIDTH), np.inf))


def spoken(hidden, layers):
    spans = tuple((at, at + 1) for at in range(len(hidden)))
    some = np.zeros(len(hidden))
    return TokenScores(tuple(range(len(hidden))), spans, some, some, some, "raw_logits", hidden=hidden, layers=layers)


def test_a_claim_is_the_mean_of_its_tokens(probe):
    hidden = np.random.default_rng(0).standard_normal((6, 2, WIDTH)).astype(np.float32)
    given = spoken(hidden, tuple(LAYERS))
    pooled = pool_hidden(given, Span(1, 4))
    np.testing.assert_allclose(pooled, hidden[1:4].astype(np.float64).mean(axis=0).ravel())
    assert probe.score(given, Span(1, 4)) == pytest.approx(float(probe.probability(pooled[None])[0]))
    assert probe.score(given, Span(9, 12)) is None
    assert probe.score(spoken(hidden, tuple(LAYERS)), Span(2, 2)) is None
    assert probe.score(TokenScores((1,), ((0, 1),), np.zeros(1), np.zeros(1), np.zeros(1), "raw_logits"), Span(0, 1)) is None
    with pytest.raises(UsageError, match=r"keeping_hidden\(\[9, 14\]\)"):
        probe.score(spoken(hidden, (3, 14)), Span(1, 4))
