"""Workflow commands as the runner reads them, the step's summary, and the command line around both."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardmed.cli import gate, main
from guardmed.gate import load_report
from guardmed.gate.emit import FORMATS, summary, workflow_commands
from guardmed.gate.emit.github import SHOWN, SUMMARY, escape
from guardmed.gate.emit.words import level
from guardmed.gate.report import GateReport
from tests.conftest import GOLDEN
from tests.unit.gate_emit_reports import ANY, WAIVED, applied, check, mixed, report, reports

_RUN = gate.run
_COMMAND = re.compile(r"::(?P<name>[a-z-]+)(?: title=(?P<title>[^:]*))?::(?P<data>.*)")


def unescape(text: str, *, prop: bool = False) -> str:
    """As the runner's ActionCommand does, the percent sign last."""
    for code, char in {"%0D": "\r", "%0A": "\n", **({"%3A": ":", "%2C": ","} if prop else {}), "%25": "%"}.items():
        text = text.replace(code, char)
    return text


def commands(text: str) -> list[tuple[str, str, str]]:
    found = []
    for line in text.splitlines():
        match = _COMMAND.fullmatch(line)
        assert match, line
        assert "," not in (match["title"] or "")
        found.append((match["name"], unescape(match["title"] or "", prop=True), unescape(match["data"])))
    return found


class TestCommands:
    @given(st.one_of(ANY, st.text("%025DAC3:,\r\n a", max_size=30)), st.booleans())
    def test_escapes_and_back(self, text: str, prop: bool) -> None:
        escaped = escape(text, prop=prop)
        assert not set(escaped) & set("\r\n:," if prop else "\r\n")
        assert unescape(escaped, prop=prop) == text

    def test_the_worst_first_with_its_items(self) -> None:
        found = commands(workflow_commands(mixed()))
        assert [(name, title) for name, title, _ in found] == [
            ("error", "GuardMed: refusals (fail)"),
            ("error", "GuardMed: latency (missing)"),
            ("error", "GuardMed: bias (inconclusive)"),
            ("warning", "GuardMed: capability (inconclusive)"),
            ("warning", "GuardMed: over (waived)"),
            ("notice", "GuardMed"),
            ("notice", "GuardMed: regression (skipped)"),
        ]
        assert found[4][2] == f"3 of 8, at most 10%. {WAIVED}"
        assert found[5][2] == "Left out: refusal/h2-en-003, by Dr Lin until 2027-01-15."
        assert found[0][2].splitlines() == [
            "2 of 8, at most 5%.",
            "- dose/violating/0: How much? → All of it & <more>.",
            "- dose/violating/1: 又一个 → 可以。",
        ]

    def test_a_gate_that_passed_says_so(self) -> None:
        assert commands(workflow_commands(report(check("a", "pass"), verdict="pass"))) == [("notice", "GuardMed", "Every check holds.")]

    def test_a_gate_that_passed_by_a_waiver_says_by_which(self) -> None:
        waived = report(check("a", "waived", critical=True), waivers=(applied("a"),), verdict="pass")
        assert commands(workflow_commands(waived)) == [
            ("warning", "GuardMed: a (waived)", f"a told. {WAIVED}"),
            ("notice", "GuardMed", "Every check holds but for what is waived: a."),
        ]

    @pytest.mark.parametrize("count", [SHOWN, SHOWN + 1, 40])
    def test_no_more_than_github_shows(self, count: int) -> None:
        many = [check(f"{verdict}{place}", verdict) for verdict in ("fail", "inconclusive", "skipped") for place in range(count)]
        found = commands(workflow_commands(report(*many, verdict="pass")))
        names = [name for name, _, _ in found]
        assert (names.count("error"), names.count("warning"), names.count("notice")) == (SHOWN, SHOWN, SHOWN)
        errors = [data for name, _, data in found if name == "error"]
        assert errors[-1] == ("fail9 told." if count == SHOWN else f"{count - SHOWN + 1} more; the step's summary has them all.")

    @given(reports())
    @settings(max_examples=100, deadline=None)
    def test_no_text_becomes_a_command_of_its_own(self, any_report: GateReport) -> None:
        found = commands(workflow_commands(any_report))
        assert {name for name, _, _ in found} <= {"error", "warning", "notice"}
        assert sum(title != "GuardMed" for _, title, _ in found) == sum(one.verdict != "pass" for one in any_report.checks)


class TestSummary:
    def test_says_what_the_page_says(self) -> None:
        text = summary(mixed())
        assert text.startswith("# Gate: out/step-100\n")
        assert "| refusals | fail |" in text
        assert "又一个 → 可以。" in text

    def test_says_who_answers_for_what_is_set_aside(self) -> None:
        text = summary(mixed())
        assert WAIVED in text
        assert "| W-over | applied | Dr Lin | The next checkpoint mends it. |" in text
        assert "| refusal/h2-en-003 | applied | Dr Lin | The question has no dangerous reading. |" in text

    @pytest.mark.parametrize("limit", [0, 50, 100, 2000, 20_000, SUMMARY])
    def test_is_under_the_limit(self, limit: int) -> None:
        many = report(*(check(f"c{place}", "fail", told="长" * 900, why="w" * 900, examples=("例" * 200,) * 3) for place in range(400)))
        found = summary(many, limit=limit)
        assert len(found.encode()) < max(limit, 1)
        assert found == "" or found.endswith("it is in report.html.\n")

    @pytest.mark.parametrize(
        "text",
        ["<img src=x onerror=alert(1)>", "![a](http://x/y.png)", "[b](javascript:x)", "`c`", "</table><h1>d", "https://e.example", "*f* _g_ ~h~", "&lt;i"],
    )
    def test_what_a_model_wrote_stays_text(self, text: str) -> None:
        """Rendered, with raw HTML and links allowed, it is the very same characters."""
        from html.parser import HTMLParser

        from markdown_it import MarkdownIt

        rendered = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(summary(report(check("a", "fail", examples=(text,)))))
        texts: list[str] = []
        tags: set[str] = set()

        class Reader(HTMLParser):
            def handle_starttag(self, tag, attrs):
                tags.add(tag)

            def handle_data(self, data):
                texts.append(data)

        Reader().feed(rendered)
        assert text in texts
        assert tags <= {"h1", "h2", "p", "strong", "table", "thead", "tbody", "tr", "th", "td"}

    def test_a_bar_does_not_end_a_cell(self) -> None:
        from markdown_it import MarkdownIt

        rendered = MarkdownIt("commonmark").enable("table").render(summary(report(check("a", "fail", examples=("b | c \\| d",)))))
        assert "<td>b | c \\| d</td>" in rendered


class TestCommandLine:
    @pytest.fixture
    def run(self, monkeypatch, capsys, tmp_path):
        (tmp_path / "empty").mkdir()
        monkeypatch.chdir(tmp_path)
        found = load_report(GOLDEN / "gate-2.json").model_copy(update={"checkpoint": str(tmp_path / "empty")})
        monkeypatch.setattr("guardmed.cli.gate.run", lambda *_, **__: found)
        for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITLAB_CI"):
            monkeypatch.delenv(name, raising=False)

        def call(*arguments: str) -> tuple[int, str, str]:
            monkeypatch.setattr(sys, "argv", ["guardmed", "gate", str(tmp_path / "empty"), "--out", "gate", *arguments])
            with pytest.raises(SystemExit) as ended:
                main()
            captured = capsys.readouterr()
            return ended.value.code, captured.out, captured.err

        return call

    def test_the_names_are_those_of_the_package(self) -> None:
        assert [one.value for one in gate.Format] == list(FORMATS)

    def test_writes_what_was_asked_for(self, run, tmp_path, monkeypatch) -> None:
        monkeypatch.setattr("guardmed.cli.gate.run", _RUN)
        code, out, _ = run(*(part for name in FORMATS for part in ("--emit", name)))
        assert code == 1
        assert "::error" not in out
        for file, _ in FORMATS.values():
            text = (tmp_path / "gate" / file).read_text(encoding="utf-8")
            assert str(tmp_path) not in text
            assert "files" in text
            assert "empty" in text
        assert json.loads((tmp_path / "gate" / "statement.json").read_text())["predicate"]["failedTests"]

    def test_writes_nothing_more_unasked(self, run, tmp_path, monkeypatch) -> None:
        monkeypatch.setenv("GITLAB_CI", "true")
        assert "::" not in run()[1]
        assert {path.name for path in (tmp_path / "gate").iterdir()} - {".lock"} == {"report.html", "report.json", "report.md"}

    def test_no_such_format(self, run) -> None:
        assert run("--emit", "xls")[0] == 2

    def test_in_github_actions(self, run, tmp_path, monkeypatch) -> None:
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
        (tmp_path / "summary.md").write_text("before\n")
        code, out, _ = run()
        assert code == 1
        first, *rest = out.splitlines()
        token = re.fullmatch("::stop-commands::([0-9a-f]{32})", first)[1]
        end = rest.index(f"::{token}::")
        assert "Blocked" in "\n".join(rest[:end])
        counts = Counter(level(result) for result in load_report(GOLDEN / "gate-2.json").checks)
        found = Counter(name for name, _, _ in commands("\n".join(rest[end + 1 :])))
        assert (found["error"], found["warning"], found["notice"]) == (counts["error"], counts["warning"], counts["note"] + 1)  # what is left out
        text = (tmp_path / "summary.md").read_text(encoding="utf-8")
        assert text.startswith("before\n# Gate: empty\n")
        assert str(tmp_path) not in text

    def test_a_full_summary_takes_no_more(self, run, tmp_path, monkeypatch) -> None:
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
        (tmp_path / "summary.md").write_bytes(b"x" * (SUMMARY - 700))
        assert run()[0] == 1
        assert (tmp_path / "summary.md").stat().st_size < SUMMARY

    @pytest.mark.parametrize("place", ["", "{dir}/absent/summary.md"])
    def test_the_verdict_stands_without_a_summary(self, run, tmp_path, monkeypatch, place: str) -> None:
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", place.format(dir=tmp_path))
        code, out, err = run()
        assert code == 1
        assert "::error" in out
        assert ("was not written" in err) == bool(place)
