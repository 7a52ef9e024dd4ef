"""``guardmed audit`` on the command line: what it prints and writes, how it ends, and what it says of every wrong call."""

from __future__ import annotations

import io
import json
import sys

import pytest
import yaml

from guardmed.audit import definition_names
from guardmed.cli import main
from guardmed.records import write_records
from tests.servers import Conduct, serving
from tests.unit.small_audit import number, plain_definition

WRITTEN = {"report.json", "report.html", "report.md", "records.jsonl"}
ROWS = [
    {
        "item": i,
        "axis": axis,
        "group": g,
        "correct": int(not (g == "female" and i % 3 == 0)),
        "wait": i % 7 + (g == "female") * 0.2,
        "triage": "red" if i % 2 else "green",
    }
    for i in range(60)
    for axis, groups in (("sex", ("male", "female")), ("age", ("young", "old")))
    for g in groups
]


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("GUARDMED_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["guardmed", "audit", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return ended.value.code, captured.out, captured.err

    return call


@pytest.fixture
def small(tmp_path):
    """A small definition as a file; keywords change it."""

    def write(name: str = "small", **change: object):
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(plain_definition() | {"id": name} | change, allow_unicode=True), encoding="utf-8")
        return path

    return write


@pytest.fixture
def records(tmp_path):
    path = tmp_path / "answers.jsonl"
    write_records(path, ROWS)
    return path


def report(folder) -> dict:
    assert {path.name for path in folder.iterdir() if path.is_file()} == WRITTEN
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


class TestWithoutAsking:
    def test_list(self, run):
        code, out, _ = run("--list")
        assert code == 0
        assert all(name in out for name in definition_names())
        assert "Emergency triage" in out
        assert "急诊分诊" in out

    def test_lint_of_what_ships(self, run):
        assert run("triage", "pain-management", "--lint")[:2] == (0, "triage: 36 vignettes, 0 findings\npain-management: 36 vignettes, 0 findings\n")

    def test_lint_ends_with_0_on_warnings_and_1_on_errors(self, run, small):
        code, out, _ = run(small(), "--lint")
        assert code == 0
        assert "warning: small: small: 3 vignettes; with fewer than 24" in out
        assert "error" not in out
        wrong = plain_definition()["vignettes"]
        wrong[0]["text"]["en"] = "An {descriptor}{noun} [i]has[/i] renal colic , {they} says."
        code, out, _ = run("triage", small("wrong", vignettes=wrong), "--lint")
        assert code == 1
        assert "error: wrong: renal-colic/en, sex: male: reads " in out
        assert "[i]has[/i] renal colic , he says." in out
        assert "error: wrong: renal-colic/en, sex: male: says An 'man'; it should be a\n" in out

    def test_plan_prints_the_cost_and_asks_nothing(self, run, small, tmp_path):
        code, out, _ = run(small(), "--plan", "--model", "nonesuch", "--max-new-tokens", 50)
        assert code == 0
        assert "18 variants, 45 distinct prompts" in out
        assert "at most 450 to write" in out
        assert "Care given" in out
        assert not (tmp_path / "cache").exists()
        assert "90 distinct prompts" in run(small(), "--plan", "--policy", "clinical", "--both")[1]
        assert "12 distinct prompts" in run(small(), "--plan", "--axis", "race", "--vignettes", 2)[1]
        assert "8 distinct prompts" in run(small(), "--plan", "--axis", "race", "--vignettes", 2, "--repeats", 1)[1]

    def test_plan_of_intersections(self, run, small):
        path = small(intersections=[["sex", "race"]])
        assert "30 variants" in run(path, "--plan")[1]
        assert "18 variants" in run(path, "--plan", "--no-intersections")[1]


class TestRecords:
    def test_every_column_of_numbers(self, run, records, tmp_path):
        code, out, _ = run("--records", records, "--out", tmp_path / "out")
        found = report(tmp_path / "out")
        assert code == 0
        assert {axis: set(outcomes) for axis, outcomes in found["axes"].items()} == {"sex": {"correct", "wait"}, "age": {"correct", "wait"}}
        assert found["axes"]["sex"]["correct"]["verdict"] == "fail"
        assert found["title"] == "answers"
        assert "Fail" in out
        assert str(tmp_path / "out" / "report.html") in out

    @pytest.mark.parametrize("suffix", [".csv", ".parquet"])
    def test_from_tables(self, run, tmp_path, suffix):
        write_records(tmp_path / f"in{suffix}", ROWS)
        assert run("--records", tmp_path / f"in{suffix}", "--out", tmp_path / "out", "--axis", "age")[0] == 0
        assert report(tmp_path / "out")["observations"] == 120

    def test_named_outcomes_and_their_margins(self, run, records, tmp_path):
        arguments = ["--outcome", "correct=0.5", "--outcome", "triage", "--margin", "0.1", "--alpha", "0.01", "--axis", "sex"]
        assert run("--records", records, "--out", tmp_path / "out", *arguments)[0] == 0
        found = report(tmp_path / "out")
        assert {name: (one["margin"], one["scale"]) for name, one in found["axes"]["sex"].items()} == {"correct": (0.5, "binary"), "triage": (0.1, "nominal")}
        assert list(found["axes"]) == ["sex"]
        assert (found["margin"], found["alpha"]) == (0.1, 0.01)
        # A third of the cases differ: more than 0.05, but not more than 0.5.
        assert found["axes"]["sex"]["correct"]["verdict"] == "pass"

    @pytest.mark.parametrize(("arguments", "pair"), [([], ("male", "female")), (["--reference", "sex=male"], ("female", "male"))])
    def test_a_reference_is_named_second(self, run, records, tmp_path, arguments, pair):
        assert run("--records", records, "--out", tmp_path / "out", *arguments)[0] == 0
        found = report(tmp_path / "out")["axes"]["sex"]["correct"]["pairs"][0]
        assert (found["a"], found["b"]) == pair

    def test_in_chinese(self, run, records, tmp_path):
        assert run("--records", records, "--out", tmp_path / "zh", "--language", "zh")[0] == 0
        assert run("--records", records, "--out", tmp_path / "en")[0] == 0
        pages = {name: (tmp_path / name / "report.md").read_text(encoding="utf-8") for name in ("zh", "en")}
        assert "偏倚审计" in pages["zh"]
        assert "Bias audit" not in pages["zh"]
        assert "Bias audit" in pages["en"]
        assert (tmp_path / "zh" / "report.json").read_bytes() == (tmp_path / "en" / "report.json").read_bytes()

    def test_from_standard_input(self, run, tmp_path, monkeypatch):
        text = "".join(json.dumps(row) + "\n" for row in ROWS)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        assert run("--records", "-", "--out", tmp_path / "out", "--outcome", "correct")[0] == 0
        found = report(tmp_path / "out")
        assert (found["title"], found["observations"]) == ("standard input", 240)

    def test_what_it_wrote_can_be_audited_again(self, run, records, tmp_path):
        run("--records", records, "--out", tmp_path / "one")
        run("--records", tmp_path / "one" / "records.jsonl", "--out", tmp_path / "two")
        one, two = report(tmp_path / "one"), report(tmp_path / "two")
        assert one["axes"] == two["axes"]


WRONG = [
    ([], "No audit is named.", "Name one of china-access"),
    (["nonesuch"], "There is no audit 'nonesuch'.", "or name a YAML file"),
    (["{dir}/broken.yaml"], "broken.yaml", "Mend"),
    (["{dir}/extra.yaml"], "colour", "Mend"),
    (["triage", "--axis", "income"], "triage has no axis 'income'.", "It has sex, race"),
    (["triage", "--plan", "--axis", "income"], "triage has no axis 'income'.", "It has sex, race"),
    (["triage", "--both"], "--both needs a guard to compare with.", "Add --policy clinical."),
    (["triage", "--outcome", "care"], "--outcome, --reference, --margin and --alpha go with --records.", "A definition names its own"),
    (["triage", "--reference", "sex=male"], "--outcome, --reference, --margin and --alpha go with --records.", "A definition names its own"),
    (["triage", "--model", "nonesuch"], "There is no model 'nonesuch'.", "Use 'reference'"),
    (["triage", "--repeats", "0"], "--repeats", ""),
    (["triage", "--vignettes", "0"], "--vignettes", ""),
    (["triage", "--language", "fr"], "--language", ""),
    (["triage", "--records", "{dir}/in.jsonl"], "Records need no definition and no model.", "Give --records alone"),
    (["--records", "{dir}/in.jsonl", "--plan"], "Records need no definition and no model.", "Give --records alone"),
    (["--records", "{dir}/in.jsonl", "--lint"], "Records need no definition and no model.", "Give --records alone"),
    (["--records", "{dir}/absent.jsonl"], "absent.jsonl does not exist.", "Check the path."),
    (["--records", "{dir}/in.xlsx"], ".xlsx is not a records format", "Use .jsonl, .csv, .parquet"),
    (["--records", "{dir}/empty.jsonl"], "holds no records", "Write one JSON object a line"),
    (["--records", "{dir}/group.jsonl"], "line 1: group: Field required", "A record needs"),
    (["--records", "{dir}/none.jsonl"], "no outcome column", "Give at least one column of numbers"),
    (["--records", "{dir}/in.jsonl", "--outcome", "nope"], "has no column 'nope'.", "Its further columns: ok, note"),
    (["--records", "{dir}/in.jsonl", "--outcome", "note"], "holds 20 different texts", "at most 12 short answers"),
    (["--records", "{dir}/in.jsonl", "--outcome", "ok=0"], "The margin '0' of ok is not a positive number.", "Write, for instance, --outcome ok=0.1."),
    (["--records", "{dir}/in.jsonl", "--outcome", "ok=inf"], "The margin 'inf' of ok is not a positive number.", "--outcome ok=0.1."),
    (["--records", "{dir}/in.jsonl", "--outcome", "ok=much"], "The margin 'much' of ok is not a positive number.", "--outcome ok=0.1."),
    (["--records", "{dir}/in.jsonl", "--reference", "male"], "--reference 'male' is not AXIS=GROUP.", "--reference sex=male"),
    (["--records", "{dir}/in.jsonl", "--reference", "sex="], "--reference 'sex=' is not AXIS=GROUP.", "--reference sex=male"),
    (["--records", "{dir}/in.jsonl", "--reference", "sex=nobody"], "The axis 'sex' has no group 'nobody'.", "It has a."),
    (["--records", "{dir}/in.jsonl", "--reference", "income=low"], "There is no axis 'income' in these records.", "There are: sex."),
    (["--records", "{dir}/in.jsonl", "--axis", "income"], "There is no axis 'income' in these records.", "There are: sex."),
    (["--records", "{dir}/in.jsonl", "--margin", "0"], "--margin", ""),
    (["--records", "{dir}/in.jsonl", "--alpha", "0.9"], "--alpha", ""),
]


@pytest.mark.parametrize(("arguments", "words", "mend"), WRONG, ids=[" ".join(case[0]) or "nothing" for case in WRONG])
def test_a_wrong_call_gets_one_message_with_its_mend(run, tmp_path, arguments, words, mend):
    head = {"item": 1, "axis": "sex", "group": "a"}
    write_records(tmp_path / "in.jsonl", [head | {"ok": 1, "note": f"note {place}"} for place in range(20)])
    write_records(tmp_path / "none.jsonl", [head])
    write_records(tmp_path / "group.jsonl", [{"item": 1, "axis": "sex", "ok": 1}])
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "in.xlsx").write_text("x")
    (tmp_path / "broken.yaml").write_text("a: [")
    (tmp_path / "extra.yaml").write_text(yaml.safe_dump(plain_definition() | {"colour": "red"}))
    before = set(tmp_path.iterdir())
    code, out, err = run(*(argument.format(dir=tmp_path) for argument in arguments), "--out", tmp_path / "out")
    told = " ".join(err.split())
    assert code == 2
    assert out == ""
    assert words in told
    assert mend in told
    assert not mend or "Mend: " in told
    assert set(tmp_path.iterdir()) == before, "something was left behind"


class TestModel:
    """A model behind a server, which needs no weights."""

    @pytest.fixture
    def server(self):
        def answer(messages, body):
            prompt = messages[-1]["content"]
            if "Answer Yes" in prompt or "Answer No" in prompt:
                return {"text": "Yes" if number(prompt) < 0.5 else "No"}
            return {"text": "A" if "one letter" in prompt or "字母" in prompt else "是" if "请只回答" in prompt else "Rest, and see your doctor."}

        conduct = Conduct(logprobs=False)
        with serving(answer, conduct) as url:
            yield f"openai:tiny@{url}", conduct

    def asked(self, conduct: Conduct) -> list[str]:
        """What it was asked beside what it can do."""
        prompts = [body["messages"][-1]["content"] for body in conduct.bodies]
        return [prompt for prompt in prompts if prompt != "Hi"]

    def test_asks_and_goes_on_from_its_journal(self, run, small, server, tmp_path):
        spec, conduct = server
        code, out, err = run(small(), "--model", spec, "--samples", 2, "--out", tmp_path / "one")
        assert (code, err) == (0, "")
        found = report(tmp_path / "one")
        assert (found["definition"], found["model"], found["observations"]) == ("small", spec, 27)
        assert found["system"]["samples"] == 2
        assert not found["system"]["log_probabilities"]
        assert "Inconclusive" in out
        assert len(self.asked(conduct)) == 45
        assert run(small(), "--model", spec, "--samples", 2, "--out", tmp_path / "two")[0] == 0
        assert len(self.asked(conduct)) == 45
        for name in WRITTEN:
            assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
        assert run(small(), "--model", spec, "--samples", 2, "--out", tmp_path / "two", "--fresh", "--vignettes", 1)[0] == 0
        assert len(self.asked(conduct)) == 45 + 18

    def test_several_definitions_get_folders_of_their_own(self, run, small, server, tmp_path):
        code, _, _ = run(small("one"), small("two"), "--model", server[0], "--samples", 1, "--vignettes", 1, "--out", tmp_path / "out")
        assert code == 0
        assert {path.name for path in (tmp_path / "out").iterdir()} == {"one", "two"}
        assert [report(tmp_path / "out" / name)["definition"] for name in ("one", "two")] == ["one", "two"]

    def test_both_compares_the_bare_model_with_the_guarded(self, run, small, server, tmp_path):
        code, _, _ = run(small(), "--model", server[0], "--samples", 1, "--vignettes", 1, "--policy", "clinical", "--both", "--out", tmp_path / "out")
        assert code == 0
        bare, guarded = report(tmp_path / "out" / "bare"), report(tmp_path / "out")
        assert bare["system"]["guard"] is None
        assert "clinical" in guarded["system"]["guard"]
        assert bare["compared"] is None
        assert (guarded["compared"]["before"], guarded["compared"]["after"]) == ("bare", "guarded by clinical")
        assert guarded["compared"]["changes"]

    def test_a_second_run_of_the_same_model_is_turned_away(self, run, small, server, tmp_path):
        from guardmed.audit import Interview, model_store
        from guardmed.models import load_model

        with model_store(Interview(load_model(server[0])), tmp_path / "cache" / "audit"):
            code, _, err = run(small(), "--model", server[0], "--out", tmp_path / "out")
        assert code == 3
        assert "Another run is asking this very model." in err
        assert not (tmp_path / "out").exists()
