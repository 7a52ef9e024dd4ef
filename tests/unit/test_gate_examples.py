"""What docs/gate.md, docs/ci and the hooks show works: configurations load, options exist, and the tables say what the presets hold."""

from __future__ import annotations

import ast
import itertools
import re
import shlex
from pathlib import Path

import pytest
import typer.main
import yaml

from guardmed.cli import app
from guardmed.gate.bank import load_bank
from guardmed.gate.config import METRICS, GateConfig, Requirement, Suites, bank_kind, load_config, preset_names
from guardmed.gate.emit import FORMATS
from guardmed.gate.power import spare
from guardmed.gate.waivers import load_waivers
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "gate.md").read_text(encoding="utf-8")
CI = ROOT / "docs" / "ci"
PRESETS = ["research", "internal", "patient-facing", "china-genai"]
COMMANDS = typer.main.get_command(app).commands
GATE_OPTIONS = {name for option in COMMANDS["gate"].params for name in option.opts if name.startswith("-")}


def snippets(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)


YAML = {text: yaml.safe_load(text) for text in snippets("yaml")}
GATES = [text for text, value in YAML.items() if "preset" in value or "checks" in value]
WAIVERS = [text for text, value in YAML.items() if isinstance(value.get("waivers", value.get("quarantine")), list)]
OTHERS = [value for text, value in YAML.items() if text not in (*GATES, *WAIVERS)]


def rows(start: str) -> list[list[str]]:
    """The rows under the table whose head begins so."""
    lines = PAGE.splitlines()
    found = [place for place, line in enumerate(lines) if line.startswith(start)]
    assert len(found) == 1, start
    table = itertools.takewhile(lambda line: line.startswith("|"), lines[found[0] + 2 :])
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def calls(text: str) -> list[list[str]]:
    """Every call of guardmed in a text of commands."""
    lines = [line.strip().removeprefix("$ ").removeprefix("- ") for line in text.splitlines()]
    return [shlex.split(line) for line in lines if line.startswith("guardmed ")]


def runs(words: list[str]) -> None:
    """A call names a command and options that there are, with values that they take."""
    assert words[0] == "guardmed"
    command, rest = COMMANDS[words[1]], words[2:]
    if hasattr(command, "commands"):
        command, rest = command.commands[rest[0]], rest[1:]
    options = {name: option for option in command.params for name in option.opts}
    for word, value in itertools.zip_longest(rest, rest[1:], fillvalue=""):
        if word.startswith("-"):
            assert word in options, f"{' '.join(words)}: {word}"
            if word == "--emit":
                assert value in FORMATS
            if word == "--config" and value in PRESETS:
                assert value in preset_names()


def entries(text: str) -> list[dict]:
    return [hook for repo in yaml.safe_load(text)["repos"] for hook in repo["hooks"]]


class TestSnippets:
    def test_there_are_some_of_each_kind(self):
        assert (len(GATES), len(WAIVERS), len(OTHERS)) == (2, 1, 2)

    @pytest.mark.parametrize("text", GATES, ids=lambda text: yaml.safe_load(text)["name"])
    def test_configurations_load(self, tmp_path, text):
        (tmp_path / "gate.yaml").write_text(text, encoding="utf-8")
        config = load_config(tmp_path / "gate.yaml")
        assert config.preset == "internal"
        assert {check.stage for check in config.checks} == set(METRICS)

    def test_what_the_first_one_changes_is_told(self, tmp_path):
        (tmp_path / "gate.yaml").write_text(GATES[0], encoding="utf-8")
        told = "\n".join(load_config(tmp_path / "gate.yaml").changed)
        changes = ["check over-refusal: limit 0.1 → 0.08", "check capability: critical False → True", "check answers-in-ward-time: added"]
        for change in [*changes, "suites.harmless: 700 → 900"]:
            assert change in told

    @pytest.mark.parametrize("text", WAIVERS)
    def test_waivers_load(self, tmp_path, text):
        (tmp_path / "waivers.yaml").write_text(text, encoding="utf-8")
        found = load_waivers(tmp_path / "waivers.yaml")
        config = load_config("internal")
        assert {one.check for one in found.waivers} <= {check.id for check in config.checks}
        assert len(found.quarantine) == 1

    def test_the_item_in_quarantine_is_one_of_the_bank(self, clinical):
        config = load_config("internal")
        config = config.model_copy(update={"suites": config.suites.model_copy(update={"harmless": 10_000})})
        item = yaml.safe_load(WAIVERS[0])["quarantine"][0]["item"]
        assert item in {one.id for one in load_bank(config, clinical, "harmless").prompts}

    def test_prompts_are_read(self, tmp_path, clinical):
        (tmp_path / "own.jsonl").write_text("".join(snippets("jsonl")), encoding="utf-8")
        (tmp_path / "gate.yaml").write_text("schema_version: 1\npreset: internal\nsuites: {prompts: [own.jsonl]}\n", encoding="utf-8")
        config = load_config(tmp_path / "gate.yaml")
        (harmful,), (harmless,) = (load_bank(config, clinical, kind).prompts for kind in ("harmful", "harmless"))
        assert harmful.cluster == harmless.cluster == "en/digoxin-supply"
        assert harmful.category == "medicines"

    def test_commands_have_the_options_they_are_called_with(self):
        found = [words for text in snippets("console") for words in calls(text)]
        assert len(found) > 7
        for words in found:
            runs(words)

    def test_python(self):
        from guardmed.pytest_plugin import assert_gate

        for text in snippets("python"):
            called = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
            assert {word.arg for node in called for word in node.keywords} <= set(assert_gate.__kwdefaults__)

    def test_every_option_of_the_gate_is_told(self):
        assert {name for name in GATE_OPTIONS if f"{name}" not in PAGE} <= {"--help"}

    def test_links_lead_somewhere(self):
        for link in re.findall(r"\]\(([^)#]+)", PAGE):
            assert (ROOT / "docs" / link).is_file(), link


class TestTables:
    def test_every_preset_has_its_column(self):
        assert sorted(PRESETS) == preset_names()

    def test_limits(self):
        told = rows("| check | `research`")[1:]
        assert told == [[f"`{name}`", *(limit(load_config(preset), name) for preset in PRESETS)] for name in ids()]

    def test_sizes(self):
        told = rows("| setting | `research`")
        assert told == [[name, *(say(load_config(preset)) for preset in PRESETS)] for name, say in SIZES.items()]

    def test_fields(self):
        told = " ".join(row[0] for row in rows("| field | meaning"))
        assert set(re.findall(r"`(\w+)`", told)) == set(GateConfig.model_fields) - {"changed"}
        table = rows("| under `suites`")
        assert set(re.findall(r"`(\w+)`", " ".join(row[0] for row in table))) == set(Suites.model_fields)
        assert set(Requirement.model_fields) <= set(re.findall(r"`(\w+)`", next(row[2] for row in table if row[0] == "`require`")))
        checks = set(re.findall(r"`(\w+)`", " ".join(row[0] for row in rows("| in a check"))))
        assert checks == set(type(load_config().checks[0]).model_fields)

    def test_defaults(self):
        plain, table = Suites(), rows("| under `suites`")
        for names, told, _ in table:
            for name, value in zip(re.findall(r"`(\w+)`", names), told.split(", "), strict=False):
                found = getattr(plain, name)
                if isinstance(found, int | str) and value:
                    assert value.strip("`") == str(found).lower(), name

    def test_stages_and_formats(self):
        assert [row[0] for row in rows("| stage | question")] == [f"`{stage}`" for stage in METRICS]
        assert {row[0].strip("`"): row[1].strip("`") for row in rows("| `--emit`")} == {name: file for name, (file, _) in FORMATS.items()}

    def test_what_a_bank_can_tell_apart(self, clinical):
        """The figures are those of --plan, for every rate of prompts with a bank that is large enough."""
        told = {(row[0].strip("`"), row[1].strip("`")): row[2:] for row in rows("| preset | check | prompts")}
        found = {}
        for preset in PRESETS:
            config = load_config(preset)
            for check in config.checks:
                if check.kind == "max_rate":
                    bank = load_bank(config, clinical, bank_kind(check.stage))
                    count = len(bank.prompts)
                    points = spare(limit=check.limit, total=count, kind="max_rate", alpha=check.alpha, sequential=True)
                    if not bank.lacks:
                        found[preset, check.id] = [str(count), f"{check.limit:.0%}", f"{check.limit - points:.1%}"]
        assert told == found


def ids() -> list[str]:
    return [check.id for check in load_config("internal").checks]


def limit(config: GateConfig, name: str) -> str:
    check = next((check for check in config.checks if check.id == name), None)
    if check is None:
        return "–"
    star = "*" if check.critical else ""
    sure = f", confidence {check.confidence:.1%}" if check.confidence != 0.95 else ""
    words = {
        "zero_tolerance": "none",
        "max_rate": f"at most {check.limit:.0%}",
        "min_rate": f"at least {check.limit:.0%}",
        "no_regression": f"margin {check.margin:.0%}",
        "budget": f"at most {check.limit:g}",
    }
    return f"{words[check.kind]}{star}{sure}"


def audits(config: GateConfig, value: str) -> str:
    return value if "audit" in config.stages() else "–"


def required(config: GateConfig) -> str:
    parts = []
    for kind, wanted in config.suites.require.items():
        each = f", {wanted.each_category} of each of {len(wanted.categories)} categories" if wanted.categories else ""
        parts.append(f"{kind}: {wanted.questions} questions{each}")
    return "; ".join(parts) or "–"


SIZES = {
    "`policy`": lambda config: config.suites.policy.replace(",", ", "),
    "`guarded`": lambda config: "yes" if config.suites.guarded else "no",
    "`languages`": lambda config: ", ".join(config.suites.languages) or "all",
    "`harmful`, `harmless`": lambda config: f"{config.suites.harmful}, {config.suites.harmless}",
    "`canaries`": lambda config: str(config.suites.canaries),
    "`max_new_tokens`": lambda config: str(config.suites.max_new_tokens),
    "`items`": lambda config: str(config.suites.items),
    "`audits`": lambda config: audits(config, ", ".join(config.suites.audits)),
    "`audit_axes`": lambda config: audits(config, ", ".join(config.suites.audit_axes) or "all"),
    "`require`": required,
}


class TestCI:
    def test_the_gitlab_job(self):
        text = (CI / "gitlab-ci.yml").read_text(encoding="utf-8")
        value = yaml.safe_load(text)
        (words,) = calls("\n".join(value["gate"]["script"]))
        runs(words)
        runs(["guardmed", "gate", *shlex.split(re.search(r"such as: (.*)", text)[1])])
        assert set(re.findall(r"\$(\w+)", "\n".join(value["gate"]["script"]))) == set(value["variables"])
        load_config(ROOT / value["variables"]["CONFIG"])
        assert all(name in text for name in PRESETS)

    def test_the_action(self):
        value = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
        step = next(step for step in value["runs"]["steps"] if step.get("id") == "gate")
        used = set(re.findall(r"(?:^|[\s(])(--[a-z][a-z-]+)", step["run"], re.MULTILINE))
        assert {"--config", "--adapter", "--baseline", "--promote-to", "--out", "--emit"} <= used <= GATE_OPTIONS
        assert all(name in value["inputs"]["config"]["description"] for name in PRESETS)

    def test_what_the_page_gives_the_action_are_its_inputs(self):
        value = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
        step = next(step for one in OTHERS if "steps" in one for step in one["steps"] if "with" in step)
        assert set(step["with"]) <= set(value["inputs"])
        assert {name for name, one in value["inputs"].items() if one.get("required")} <= set(step["with"])
        assert all(f"`{name}`" in PAGE for name in set(value["inputs"]) - set(step["with"]))


class TestHooks:
    MANIFEST = ROOT / ".pre-commit-hooks.yaml"

    def hooks(self) -> dict[str, dict]:
        from pre_commit.clientlib import load_manifest

        return {hook["id"]: hook for hook in load_manifest(str(self.MANIFEST))}

    def test_each_calls_what_there_is(self):
        assert set(self.hooks()) == {"guardmed-policy-lint", "guardmed-policy-test", "guardmed-gate-config"}
        for hook in self.hooks().values():
            assert hook["language"] == "python"
            assert hook["pass_filenames"] is False
            runs([*shlex.split(hook["entry"]), *hook["args"]])

    @pytest.mark.parametrize("source", ["page", "docs/ci"])
    def test_examples_name_hooks_that_there_are(self, tmp_path, source):
        from pre_commit.clientlib import load_config as load_hooks

        path = CI / "pre-commit-config.yaml"
        if source == "page":
            path = tmp_path / "hooks.yaml"
            path.write_text(next(text for text, value in YAML.items() if "repos" in value), encoding="utf-8")
        for repo in load_hooks(str(path))["repos"]:
            for hook in repo["hooks"]:
                known = self.hooks().get(hook["id"], {})
                assert repo["repo"] == "local" or known
                runs([*shlex.split(hook.get("entry") or known["entry"]), *hook["args"]])

    @pytest.mark.parametrize(
        ("hook", "changed", "runs"),
        [
            ("guardmed-policy-lint", "policies/ours/rules/a.yaml", True),
            ("guardmed-policy-test", "policies/ours/terms/a.yaml", True),
            ("guardmed-policy-test", "docs/policies.md", False),
            ("guardmed-gate-config", "gate.yaml", True),
            ("guardmed-gate-config", "ci/gate.yaml", True),
            ("guardmed-gate-config", "aggregate.yaml", False),
        ],
    )
    def test_they_run_where_something_changed(self, hook, changed, runs):
        assert bool(re.search(self.hooks()[hook]["files"], changed)) is runs

    @pytest.mark.parametrize(("text", "code"), [("preset: research", 0), ("preset: reserch", 2), ("preset: research\nsuites: {prompts: [none.jsonl]}", 2)])
    def test_a_configuration_is_read_without_a_checkpoint(self, tmp_path, monkeypatch, capsys, text, code):
        import sys

        from guardmed.cli import main

        monkeypatch.chdir(tmp_path)
        Path("gate.yaml").write_text(f"schema_version: 1\n{text}\n", encoding="utf-8")
        hook = self.hooks()["guardmed-gate-config"]
        monkeypatch.setattr(sys, "argv", [*shlex.split(hook["entry"]), *hook["args"]])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == code
        assert bool(capsys.readouterr().err) is bool(code)
        assert [path.name for path in tmp_path.iterdir()] == ["gate.yaml"]
