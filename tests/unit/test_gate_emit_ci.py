"""The action and the examples for other build servers do what they say, as far as one can tell without those servers."""

from __future__ import annotations

import itertools
import os
import re
import shlex
import shutil
import subprocess

import pytest
import yaml

from guardmed.gate.emit import FORMATS
from tests.conftest import ROOT

ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS = ACTION["runs"]["steps"]
GATE = next(step for step in STEPS if step.get("id") == "gate")
EXAMPLES = ROOT / "docs" / "ci"

needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not here")


def emitted(command: str) -> set[str]:
    words = shlex.split(command)
    return {FORMATS[value][0] for option, value in itertools.pairwise(words) if option == "--emit"}


class TestAction:
    def test_inputs_and_outputs_are_used_and_known(self) -> None:
        text = (ROOT / "action.yml").read_text(encoding="utf-8")
        assert set(re.findall(r"inputs\.([\w-]+)", text)) == set(ACTION["inputs"])
        outputs = set(re.findall(r'echo "([\w-]+)=', GATE["run"]))
        assert outputs == set(ACTION["outputs"]) == set(re.findall(r"steps\.gate\.outputs\.([\w-]+)", text))

    def test_no_input_is_part_of_a_script(self) -> None:
        assert not [step for step in STEPS if "${{" in step.get("run", "")]

    @needs_bash
    @pytest.mark.parametrize("code", [0, 1, 3, 4])
    @pytest.mark.parametrize("given", [{}, {"config": "my gate.yaml"}, {"adapter": "a b", "baseline": "last good.json", "promote-to": "next good.json"}])
    def test_the_step_hands_on_what_the_gate_says(self, tmp_path, code: int, given: dict[str, str]) -> None:
        """With a stand-in for guardmed, and a checkpoint whose name would run if it were part of the script."""
        stub = tmp_path / "bin" / "guardmed"
        stub.parent.mkdir()
        wrote = "" if code == 3 else "mkdir -p 'o ut'; echo {} > 'o ut/sarif.json'; "
        stub.write_text(f"#!/usr/bin/env bash\nprintf '%s\\n' \"$@\" > told; {wrote}exit {code}\n")
        stub.chmod(0o755)
        (tmp_path / "o ut").mkdir()
        (tmp_path / "o ut" / "sarif.json").write_text("of an earlier run")
        checkpoint = '-a "$(touch ran)" `touch ran`; touch ran'
        values = dict.fromkeys(ACTION["inputs"], "") | {"checkpoint": checkpoint, "out": "o ut"} | given
        env = {name: values[re.fullmatch(r"\$\{\{ inputs\.([\w-]+) \}\}", value)[1]] for name, value in GATE["env"].items()}
        env |= {"PATH": f"{stub.parent}{os.pathsep}{os.environ['PATH']}", "GITHUB_OUTPUT": str(tmp_path / "output")}
        ended = subprocess.run(["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", GATE["run"]], cwd=tmp_path, env=env, check=False)
        assert ended.returncode == code
        told = (tmp_path / "told").read_text().splitlines()
        assert told[:3] == ["gate", "--out", "o ut"]
        assert told[-2:] == ["--", checkpoint]
        options = {f"--{name}": value for name, value in given.items()}
        assert {one: value for one, value in itertools.pairwise(told[:-2]) if one.startswith("--") and one not in ("--out", "--emit")} == options
        assert not (tmp_path / "ran").exists()
        assert (tmp_path / "output").read_text() == f"exit-code={code}\n" + ("" if code == 3 else "sarif=o ut/sarif.json\n")

    def test_what_it_uploads_is_what_it_emits(self) -> None:
        assert "sarif.json" in emitted(GATE["run"].splitlines()[0].replace("options=(", "").replace(")", ""))
        assert STEPS[-1]["if"].startswith("${{ always()")


def test_the_gitlab_job_collects_what_it_emits() -> None:
    job = yaml.safe_load((EXAMPLES / "gitlab-ci.yml").read_text(encoding="utf-8"))["gate"]
    files = {f"out/gate/{name}" for name in emitted(job["script"][-1])}
    assert set(job["artifacts"]["reports"].values()) <= files
    assert job["artifacts"]["when"] == "always"


def test_pre_commit_takes_the_hooks() -> None:
    from pre_commit.clientlib import load_config

    hooks = load_config(str(EXAMPLES / "pre-commit-config.yaml"))["repos"][0]["hooks"]
    assert [hook["id"] for hook in hooks] == ["guardmed-policy", "guardmed-gate"]
    for hook in hooks:
        assert hook["entry"].split()[0] == "guardmed"
        assert hook["pass_filenames"] is False
