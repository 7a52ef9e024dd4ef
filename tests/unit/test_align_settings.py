"""What a run of alignment is told."""

from __future__ import annotations

import pytest

from guardmed.align.settings import AlignSettings, load_settings
from guardmed.errors import DataError, UsageError


def test_a_file_is_read_strictly(tmp_path):
    file = tmp_path / "align.yaml"
    file.write_text("schema_version: 1\nseed: 3\ndpo:\n  arguments: {beta: 0.2}\n", encoding="utf-8")
    settings = load_settings(file)
    assert settings.seed == 3
    assert settings.dpo.arguments == {"beta": 0.2}
    file.write_text("sed: 3\n", encoding="utf-8")
    with pytest.raises(DataError, match="sed"):
        load_settings(file)


def test_changes_go_on_top_by_name(tmp_path):
    settings = load_settings(changes={"lora.rank": 4, "dpo.arguments.beta": 0.3, "seed": 9})
    assert (settings.lora.rank, settings.dpo.arguments["beta"], settings.seed) == (4, 0.3, 9)
    assert settings.sft == AlignSettings().sft


@pytest.mark.parametrize("name", ["rank", "lora.rang", "lora.rank.deep", "nowhere.at.all"])
def test_a_setting_that_is_not_there_is_named(name):
    with pytest.raises(UsageError, match=name.replace(".", r"\.")):
        load_settings(changes={name: 1})


def test_a_value_that_does_not_fit_is_named():
    with pytest.raises(UsageError, match="validation"):
        load_settings(changes={"pairs.validation": 2})
