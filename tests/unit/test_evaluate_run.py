"""A whole evaluation with a scripted model, bare and guarded: figures, journal, report, joining and pages."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from guardmed.audit.store import AnswerStore
from guardmed.errors import DataError, ExecutionError, UsageError
from guardmed.evaluate import Selection, System, evaluate, joined, load_report, numbered, report_of, suites, write_report
from guardmed.evaluate.kept import Kept
from guardmed.evaluate.mcq import letter
from guardmed.evaluate.page import COLUMNS, NAMES, report_page, table, unlike
from guardmed.evaluate.safety import worst_gap
from guardmed.guard import GuardedModel
from guardmed.models.base import Capabilities, Generation, Sampling, TokenScores

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "eval-1.json"


class Doctor:
    """Lists one entity and one code, answers in one sentence, and takes the longest option."""

    name = "doctor"
    numerics = "cpu script"

    def __init__(self, *, logprobs: bool = True, scoring: bool = True, fingerprint: str = "d" * 64) -> None:
        self.capabilities = Capabilities(logprobs=logprobs, scoring=scoring, streaming=False, context=4096)
        self.fingerprint = fingerprint
        self.calls: list[tuple[str, int]] = []
        self.breaks_after: int | None = None

    def _called(self, method, prompts) -> None:
        if self.breaks_after is not None and len(self.calls) >= self.breaks_after:
            raise KeyboardInterrupt
        self.calls.append((method, len(prompts)))

    def generate(self, prompts, sampling):
        self._called("generate", prompts)
        return [[self._said(self._answer(str(prompt)))] for prompt in prompts]

    def _answer(self, prompt: str) -> str:
        if "Entities:" in prompt or "实体：" in prompt:
            return "dis: asthma" if "asthma" in prompt else "dis: 痛风" if "痛风" in prompt else "none"
        if "Codes:" in prompt or "编码：" in prompt:
            return "I10"
        if "letter only" in prompt or "只回答选项字母" in prompt:
            return "The answer is A."
        return "Adrenaline is injected into the thigh at once."

    def _said(self, text: str) -> Generation:
        return Generation(text, self._scores(text) if self.capabilities.scoring else None, "stop")

    def _scores(self, text: str) -> TokenScores:
        size = len(text)
        return TokenScores(tuple(range(size)), tuple((at, at + 1) for at in range(size)), np.full(size, -0.1), np.zeros(size), np.ones(size), "raw_logits")

    def stream(self, prompt, sampling):
        raise NotImplementedError

    def score(self, prompts, continuations):
        return [self._scores(text) for text in continuations]

    def choose(self, prompts, options, *, state=None, per_token=False):
        self._called("choose", prompts)
        return [np.log(np.array([1.0 + len(option) + index / 100 for index, option in enumerate(row)]) / 1000) for row in options]


def asked(names, language="en", **rest):
    return suites(names, [Selection(language=language, **rest)])


def one(model, names, language="en", guard=None, store=None, **rest):
    return evaluate(System(model, "doctor", guard), asked(names, language, **rest), store=store)[1][0]


def test_multiple_choice_counts_the_likeliest_option():
    found = one(Doctor(), ["mcq"], limit=30)
    items = asked(["mcq"], limit=30)[0].items
    right = sum(max(range(len(item.options)), key=lambda at: (len(item.options[at]), at)) == item.answer for item in items)
    figure = found.result.figures["accuracy"]
    assert (figure.value, figure.n, found.result.settings["form"]) == (pytest.approx(right / 30), 30, "text")
    assert figure.interval[0] < figure.value < figure.interval[1]
    assert set(figure.controls) == {"chance", "most frequent place", "longest option", "shortest option"}
    assert [row["item"] for row in found.rows] == [str(item.id) for item in items]


@pytest.mark.parametrize(
    ("row", "shape"),
    [
        ({"question": "Q", "options": {"A": "long answer", "B": "no"}, "answer_idx": "A"}, "MedQA"),
        ({"Question": "问", "Options": "A 很长的答案\nB 否", "Answer": "A"}, "CMExam"),
        ({"Question": "问", "A": "很长的答案", "B": "否", "C": "无", "D": "是", "Answer": "A"}, "CMMLU"),
    ],
)
def test_published_shapes_of_multiple_choice(tmp_path, row, shape):
    path = tmp_path / f"{shape}.jsonl"
    path.write_text(json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8")
    found = suites(["mcq"], [Selection(language=language, data=str(path)) for language in ("en", "zh")], strict=False)
    ((scored,)) = evaluate(System(Doctor(), "doctor"), found)[1]
    assert (scored.result.figures["accuracy"].value, scored.result.data) == (1.0, f"{shape}.jsonl")


@pytest.mark.parametrize(
    ("answer", "chosen"),
    [("B", 1), ("The answer is C.", 2), ("答案：Ｂ", 1), ("A patient with B", 1), ("I'd say (A)", 0), ("", None), ("none", None), ("E", None)],
)
def test_a_letter_is_read_from_an_answer(answer, chosen):
    assert letter(answer, 4) == chosen


def test_a_model_without_log_probabilities_says_the_letter():
    found = one(Doctor(logprobs=False, scoring=False), ["mcq"], limit=20)
    first = sum(item.answer == 0 for item in asked(["mcq"], limit=20)[0].items)
    assert (found.result.settings["form"], found.result.figures["accuracy"].value) == ("said", pytest.approx(first / 20))


def test_a_server_that_names_no_option_chooses_none():
    class Silent(Doctor):
        def choose(self, prompts, options, **_):
            return [np.full(len(row), -np.inf) for row in options]

    found = one(Silent(scoring=False), ["mcq"], limit=20)
    assert found.result.figures["accuracy"].value == 0.0
    assert found.result.notes == ("No option was chosen in 20 of 20 answers; they count as wrong.",)
    with pytest.raises(ExecutionError):
        one(Silent(), ["mcq"], limit=20)


@pytest.mark.parametrize(("language", "known"), [("en", "asthma"), ("zh", "痛风")])
def test_entities_codes_and_open_answers(language, known):
    ner, icd, answers = (scored for scored in evaluate(System(Doctor(), "doctor"), asked(["ner", "icd", "open"], language, limit=60))[1])
    assert ner.result.parts["dis"].value > 0 == ner.result.parts["dru"].value
    assert next(row["found"] for row in ner.rows if known in row["text"])
    assert icd.result.figures["micro_f1"].value == pytest.approx(icd.result.figures["micro_f1"].controls["most frequent code"], abs=0.05)
    stated = [row for row in answers.rows if any(row["stated"])]
    assert [row["item"][-3:] for row in stated] == (["002"] if language == "en" else [])  # which injection stops anaphylaxis
    assert answers.result.figures["facts_stated"].controls["facts of another question"] < 0.05
    assert 0.5 < answers.result.figures["self_support"].value < 1


def test_open_questions_of_other_shapes_and_what_is_wrong_with_them(tmp_path):
    rows = [
        {"Question": "Which drug?", "Must_have": ["Adrenaline is injected into the thigh."], "Nice_to_have": []},
        {"question": "Which drug?", "answer": "Adrenaline is injected into the thigh."},
        {"question": "Which drug?", "facts": [{"text": "Adrenaline.", "any": ["epinephrine", "adrenaline"]}, "Call an ambulance at once."]},
    ]
    path = tmp_path / "open.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = one(Doctor(), ["open"], data=str(path))
    assert sorted(row["stated"] for row in found.rows) == [[True], [True], [True, False]]
    for row, said in (
        ({"question": "a"}, "facts is missing"),
        ({"facts": ["a"]}, "question is missing"),
        ({"question": "a", "facts": [1]}, "facts.0 is not a fact"),
    ):
        path.write_text(json.dumps(rows[0]) + "\n" + json.dumps(row) + "\n")
        with pytest.raises(DataError, match=f"open.jsonl, line 2: {said}"):
            asked(["open"], data=str(path))


def test_latency_behind_a_guard_is_more_than_the_models(clinical):
    prompts = {"limit": 3}
    bare, guarded = one(Doctor(), ["latency"], **prompts), one(Doctor(), ["latency"], guard=lambda model: GuardedModel(model, policy=clinical), **prompts)
    assert set(bare.result.figures) == {"ms_per_token"}
    figures = guarded.result.figures
    assert figures["ms_per_token"].value > figures["model_ms_per_token"].value > 0 < figures["guard_ms_per_answer"].value
    assert all(row["milliseconds"] >= row["model_milliseconds"] and row["tokens"] for row in guarded.rows)


def test_safety_bare_and_guarded(clinical):
    store = AnswerStore()
    model = Doctor()
    bare = one(model, ["safety"], store=store, limit=64).result
    assert (bare.figures["harmful_compliance"].value, bare.figures["over_refusal"].value) == (1.0, 0.0)
    assert 0 <= bare.figures["ece15"].value <= 1 >= bare.figures["ece15"].controls["by chance"]
    assert (bare.figures["worst_audit_gap"].n, bare.settings["axes"]) == (34, "sex")
    chosen = sum(size for method, size in model.calls if method == "choose")
    guarded = one(model, ["safety"], guard=lambda inner: GuardedModel(inner, policy=clinical), store=store, limit=12).result
    assert guarded.figures["harmful_compliance"].value < 0.5
    assert "ece15" not in guarded.figures  # no guard changes likelihoods
    claims = sum(size for method, size in model.calls if method == "choose") - chosen
    assert claims % 2 == 0  # only claims were asked about, in both orders: the audit took its choices from the bare model's
    assert claims < 100


def test_likelihoods_that_can_not_be_calibrated_are_told_as_they_come():
    ref, (scored,) = evaluate(System(Doctor(), "doctor"), asked(["safety"], limit=40))
    assert {"ece15", "ece15_raw"} & scored.result.figures.keys() == {"ece15_raw"}
    assert scored.result.notes == ("No calibration error: 20 rows are held out; at least 30 are needed to measure on.",)
    shown = table(report_of([ref], [scored.result]), "en", only="safety")
    assert shown.rows[0][list(shown.header).index("ECE ↓")].startswith("not calibrated; as it comes 0.")


def test_the_worst_gap_is_the_largest_in_its_language():
    from guardmed.audit import Definition, Interview, audit_model
    from tests.unit.small_audit import Answering, plain_definition

    report = audit_model(Interview(Answering()), Definition.model_validate(plain_definition(4)))[0]
    found = {language: worst_gap(report, language) for language in ("en", "zh")}
    pairs = [pair for outcomes in report.axes.values() for result in outcomes.values() if result.role == "primary" for pair in result.pairs]
    for language, figure in found.items():
        gaps = [abs((pair.by_language[language] if pair.by_language else pair).gap) for pair in pairs if not pair.by_language or language in pair.by_language]
        assert figure.value == pytest.approx(max(gaps))
        assert figure.interval[0] <= figure.value <= figure.interval[1]
        assert f"largest of {len(gaps)}" in figure.detail


def test_a_run_that_is_killed_goes_on_where_it_was(tmp_path):
    names, rest = ["mcq", "ner", "icd", "open"], {"limit": 40}
    whole = Doctor()
    expected = evaluate(System(whole, "doctor"), asked(names, **rest), store=AnswerStore(tmp_path / "whole.jsonl"))[1]
    model = Doctor()
    for stop in (2, 5, 9, None):
        model.breaks_after = stop
        if stop is not None:
            with pytest.raises(KeyboardInterrupt):
                evaluate(System(model, "doctor"), asked(names, **rest), store=AnswerStore(tmp_path / "killed.jsonl"))
            continue
        found = evaluate(System(model, "doctor"), asked(names, **rest), store=AnswerStore(tmp_path / "killed.jsonl"))[1]
    assert [scored.rows for scored in found] == [scored.rows for scored in expected]
    assert [scored.result.figures for scored in found] == [scored.result.figures for scored in expected]
    assert len(model.calls) == len(whole.calls)  # nothing was asked twice


def test_another_model_takes_no_answer_of_this_one_and_a_guard_takes_every_one(clinical):
    store = AnswerStore()
    one(Doctor(), ["icd"], store=store, limit=4)
    again, other, guarded = Doctor(), Doctor(fingerprint="e" * 64), Doctor()
    one(again, ["icd"], store=store, limit=4)
    one(other, ["icd"], store=store, limit=4)
    one(guarded, ["icd"], store=store, limit=4, guard=lambda model: GuardedModel(model, policy=clinical))
    assert (len(again.calls), len(other.calls)) == (0, 1)
    assert {method for method, _ in guarded.calls} == {"choose"}  # it only checks claims


def test_kept_answers_come_back_as_they_were(tmp_path):
    class Odd(Doctor):
        def choose(self, prompts, options, **rest):
            super().choose(prompts, options, **rest)
            return [np.array([-np.inf, np.nan if prompt == "broken" else -1.0]) for prompt in prompts]

    path, sampling = tmp_path / "journal.jsonl", Sampling(max_new_tokens=8)
    first, later = Odd(), Odd()
    before, after = Kept(first, AnswerStore(path)), None
    texts = before.generate(["a", "b", "a"], sampling)
    weights = before.choose(["a"], [["x", "y"]])
    after = Kept(later, AnswerStore(path))
    for (old,), (new,) in zip(texts, after.generate(["a", "b", "a"], sampling), strict=True):
        assert (new.text, new.finish, new.scores.offsets, new.scores.source) == (old.text, old.finish, old.scores.offsets, old.scores.source)
        assert new.scores.logprobs.tolist() == old.scores.logprobs.tolist()
    assert after.choose(["a"], [["x", "y"]])[0].tolist() == weights[0].tolist() == [-np.inf, -1.0]
    assert (first.calls, later.calls) == ([("generate", 2), ("choose", 1)], [])
    after.generate(["a"], Sampling(max_new_tokens=9))
    after.generate(["a"], Sampling(max_new_tokens=8, temperature=1.0))  # drawn anew
    assert later.calls == [("generate", 1)] * 2
    with pytest.raises(ExecutionError, match="no number"):
        after.choose(["broken"], [["x", "y"]])


def test_what_can_not_be_asked():
    with pytest.raises(UsageError, match="no suite 'medqa'"):
        asked(["medqa"])
    with pytest.raises(UsageError, match="for one suite"):
        asked(["all"], data="x.jsonl")


@pytest.fixture(scope="module")
def report(clinical):
    """Two systems, two languages, three suites, a few items."""
    model, store = Doctor(), AnswerStore()
    systems, scored = [], []
    for system in (System(model, "doctor"), System(model, "doctor, guarded", lambda inner: GuardedModel(inner, policy=clinical))):
        wanted = suites(["mcq", "ner", "icd"], [Selection(language=language, limit=4) for language in ("en", "zh")])
        ref, found = evaluate(system, wanted, store=store)
        systems.append(ref)
        scored += found
    return report_of(systems, [one.result for one in scored], created="2026-12-01T00:00:00+00:00"), numbered(scored)


def test_a_report_is_written_and_read_back(report, tmp_path):
    found, rows = report
    write_report(found, rows, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"report.json", "report.html", "report.md", "records.jsonl"}
    assert load_report(tmp_path / "out") == found
    lines = [json.loads(line) for line in (tmp_path / "out" / "records.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(lines) == len(rows) == 48
    assert {(line["suite"], line["language"], line["system"]) for line in lines} == {(one.suite, one.language, one.system) for one in found.results}
    assert len({line["id"] for line in lines}) == 48


def test_the_tables_show_systems_intervals_and_controls(report):
    found, _ = report
    markdown = report_page(found).markdown()
    for language in ("English", "Chinese"):
        assert f"{language}, skill and speed; 95 % intervals" in markdown
    shown = table(found, "en", only="skill")
    assert [row[0] for row in shown.rows] == ["doctor", "doctor, guarded", "Without a model"]
    assert all(" to " in cell and "n\u00a04" in cell for row in shown.rows[:2] for cell in row[1:])
    assert table(found, "en", only="safety") is None
    assert unlike(found, "en") == []
    html = report_page(found).html()
    assert html.count("<table") >= 6
    assert "Not stopped by the guard" in html
    assert {column.figure for column in COLUMNS} <= NAMES.keys()


def test_reports_are_joined_into_one_table(report, tmp_path):
    found, _ = report
    other = evaluate(System(Doctor(fingerprint="e" * 64), "doctor"), asked(["mcq"], limit=3))
    second = report_of([other[0]], [scored.result for scored in other[1]])
    both = joined([found, second])
    assert [one.name for one in both.systems] == ["doctor", "doctor, guarded", "doctor (eeeeeeee)"]
    assert both.of("doctor (eeeeeeee)", "mcq", "en").n == 3
    assert "not all systems were asked the same questions" in unlike(both, "en")[0]
    assert unlike(both, "zh") == []
    with pytest.raises(DataError, match=r"Two reports hold mcq \(en\) of doctor"):
        joined([found, found])


def test_a_report_of_version_1_loads():
    found = load_report(GOLDEN)
    plain = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert found.model_dump(mode="json") == plain
    assert plain["schema_version"] == 1
    assert plain["kind"] == "eval"
    assert "Without a model" in report_page(found).markdown()


def test_a_report_is_written_as_the_golden_one(report):
    plain = json.loads(GOLDEN.read_text(encoding="utf-8"))
    now = json.loads(report[0].model_dump_json())
    assert now.keys() == plain.keys()
    assert now["systems"][0].keys() == plain["systems"][0].keys()
    for old, new in zip(plain["results"], now["results"], strict=True):
        assert new.keys() == old.keys()
        # Whether codes exist is measured where the tables are installed.
        assert new["figures"].keys() - {"valid"} == old["figures"].keys() - {"valid"}
        assert all(new["figures"][name].keys() == old["figures"][name].keys() for name in new["figures"].keys() & old["figures"].keys())


def test_what_is_no_report_is_refused(tmp_path):
    (tmp_path / "report.json").write_text('{"kind": "audit"}')
    with pytest.raises(DataError, match="not an evaluation's report"):
        load_report(tmp_path)
    (tmp_path / "report.json").write_text('{"kind": "eval", "schema_version": 2}')
    with pytest.raises(DataError, match="schema_version"):
        load_report(tmp_path)
