"""The wheel, built from the sdist and installed into an empty environment, works from anywhere."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path

import pytest

pytestmark = pytest.mark.install
ROOT = Path(__file__).resolve().parents[2]
# What policy checks need; the heavy libraries are left out to show that nothing imports them.
LIGHT = ["numpy", "pydantic", "pyyaml", "google-re2", "opencc", "onnxruntime", "ahocorasick-rs", "tokenizers", "typer", "rich"]


def call(*arguments: object, cwd: Path) -> str:
    ended = subprocess.run([str(argument) for argument in arguments], cwd=cwd, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("install")
    call(sys.executable, "-m", "build", "--outdir", folder, ROOT, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "env", with_pip=True)
    pip = [folder / "env" / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", "-c", ROOT / "constraints.txt"]
    call(*pip, *LIGHT, cwd=folder)
    call(*pip, "--no-deps", wheel, cwd=folder)
    return folder


def test_it_finds_its_policies_and_audits(installed):
    guardmed = installed / "env" / "bin" / "guardmed"
    assert "clinical" in call(guardmed, "policy", "list", cwd=installed)
    assert "passed" in call(guardmed, "policy", "test", "clinical", cwd=installed)
    code = "from guardmed.resources import data_folder as d; print(len(list((d('audits')).glob('*.yaml'))), len(list((d('calibration') / 'sets').glob('*'))))"
    assert call(installed / "env" / "bin" / "python", "-c", code, cwd=installed).split() == ["8", "2"]


def test_it_checks_prompts(installed):
    (installed / "in.jsonl").write_text(json.dumps({"id": 1, "prompt": "我不想活了"}) + "\n", encoding="utf-8")
    call(installed / "env" / "bin" / "guardmed", "check", "prompts", "--records", "in.jsonl", "--out", "out.jsonl", cwd=installed)
    assert json.loads((installed / "out.jsonl").read_text())["decision"] == "escalate"


def test_the_licence_travels_along(installed):
    (info,) = (installed / "env").rglob("guardmed-*.dist-info")
    assert {path.name for path in (info / "licenses").iterdir()} == {"LICENSE", "NOTICE"}
    assert next((installed / "env").rglob("guardmed/py.typed")).exists()
