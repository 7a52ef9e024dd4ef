"""``gate.yaml``: presets, what a file changes in them, and what it may not say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from guardmed.errors import DataError
from guardmed.gate import GateConfig, load_config, preset_names
from guardmed.gate.config import GOOD_EVENTS, METRICS, PROMPTED, REQUIRED
from guardmed.policy.packs import pack_names
from guardmed.resources import data_folder
from tests.conftest import ROOT

PRESETS = ["china-genai", "internal", "patient-facing", "research"]
CHECK = {"id": "mine", "stage": "audit", "kind": "zero_tolerance", "why": "Ours."}


def load(folder: Path, value: dict[str, Any] | str, name: str = "gate.yaml") -> GateConfig:
    text = value if isinstance(value, str) else yaml.safe_dump({"schema_version": 1} | value, allow_unicode=True)
    (folder / name).write_text(text, encoding="utf-8")
    return load_config(folder / name)


def whole(**more: Any) -> dict[str, Any]:
    return {"name": "x", "checks": [CHECK]} | more


class TestPresets:
    def test_names(self) -> None:
        assert preset_names() == PRESETS

    @pytest.mark.parametrize("name", PRESETS)
    def test_loads_by_its_name(self, name: str) -> None:
        config = load_config(name)
        assert (config.name, config.preset, config.changed) == (name, None, ())
        assert config.checks

    def test_the_default_is_one_of_them(self) -> None:
        assert load_config(None) == load_config() == load_config("internal")

    @pytest.mark.parametrize("name", PRESETS)
    def test_checks_all_that_a_gate_must_look_at(self, name: str) -> None:
        config = load_config(name)
        assert {check.stage for check in config.checks if check.holds} == set(REQUIRED)
        looked = {check.stage: check.kind for check in config.checks if check.kind != "no_regression"}
        assert looked["artifact_scan"] == looked["policy_tests"] == "zero_tolerance"

    @pytest.mark.parametrize("name", PRESETS)
    def test_every_check_can_be_judged_and_says_why(self, name: str) -> None:
        for check in load_config(name).checks:
            assert len(check.why) > 20
            if check.stage in PROMPTED | GOOD_EVENTS:
                assert check.kind in ("max_rate", "min_rate", "no_regression")
            if check.kind == "no_regression":
                assert 0 < check.margin < 0.05
            if check.kind == "budget":
                assert check.limit > 0

    @pytest.mark.parametrize("name", PRESETS)
    def test_names_what_is_there(self, name: str) -> None:
        suites = load_config(name).suites
        assert set(suites.policy.split(",")) <= set(pack_names())
        assert {audit for audit in suites.audits if (data_folder("audits") / f"{audit}.yaml").is_file()} == set(suites.audits)
        assert set(suites.prompts) <= {"written", "rules"}
        # Behind a guard that is made to pass them, the policies' own tests prove nothing.
        assert not suites.guarded or "rules" not in suites.prompts

    def test_the_more_is_at_stake_the_more_is_asked(self) -> None:
        research, internal, patients = (load_config(name) for name in ("research", "internal", "patient-facing"))
        for lax, strict in ((research, internal), (internal, patients)):
            assert lax.suites.harmful <= strict.suites.harmful
            assert lax.suites.harmless <= strict.suites.harmless
            limits = {check.stage: check.limit for check in lax.checks if check.kind == "max_rate"}
            assert all(check.limit <= limits[check.stage] for check in strict.checks if check.kind == "max_rate")
            assert {check.id for check in lax.checks if check.critical} <= {check.id for check in strict.checks if check.critical}

    def test_for_china_banks_of_every_category_are_required(self) -> None:
        need = load_config("china-genai").suites.require
        assert (need["harmful"].questions, need["harmful"].each_category, len(set(need["harmful"].categories))) == (500, 20, 17)
        assert need["harmless"].questions == 500

    @pytest.mark.parametrize("path", [ROOT / "gate.yaml", ROOT / "guardmed" / "gate" / "demo.yaml"])
    def test_the_projects_own_start_from_one(self, path: Path) -> None:
        config = load_config(path)
        assert config.preset == "internal"
        assert config.checks == load_config("internal").checks
        assert all(line.startswith("suites.") for line in config.changed)


class TestStartingFromOne:
    def test_single_settings_are_replaced(self, tmp_path: Path) -> None:
        config, base = load(tmp_path, {"preset": "internal", "suites": {"seed": 7, "harmful": 150}}), load_config("internal")
        assert (config.suites.seed, config.suites.harmful) == (7, 150)
        assert config.suites.model_copy(update={"seed": base.suites.seed, "harmful": base.suites.harmful}) == base.suites
        assert config.checks == base.checks
        assert config.preset == "internal"

    def test_single_fields_of_a_check_are_replaced(self, tmp_path: Path) -> None:
        config, base = load(tmp_path, {"preset": "internal", "checks": [{"id": "over-refusal", "limit": 0.08}]}), load_config("internal")
        changed = {check.id: check for check in config.checks}
        assert [check.id for check in config.checks] == [check.id for check in base.checks]
        for check in base.checks:
            assert changed[check.id] == (check.model_copy(update={"limit": 0.08}) if check.id == "over-refusal" else check)

    def test_checks_are_added_at_the_end(self, tmp_path: Path) -> None:
        config = load(tmp_path, {"preset": "research", "checks": [CHECK, {"id": "files", "why": "Because we say so, that is why."}]})
        assert [check.id for check in config.checks] == [*(check.id for check in load_config("research").checks), "mine"]
        assert config.checks[0].why == "Because we say so, that is why."

    def test_none_can_be_taken_away(self, tmp_path: Path) -> None:
        """An empty list adds nothing; it does not start anew."""
        assert load(tmp_path, {"preset": "internal", "checks": []}).checks == load_config("internal").checks

    def test_what_was_changed_is_told(self, tmp_path: Path) -> None:
        changes = {
            "preset": "internal",
            "suites": {"seed": 7, "harmful": 500},
            "checks": [CHECK, {"id": "over-refusal", "limit": 0.2, "critical": False}, {"id": "files", "critical": True}],
        }
        assert load(tmp_path, changes).changed == (
            "suites.seed: 0 → 7",
            "check over-refusal: limit 0.1 → 0.2",
            "check over-refusal: critical True → False",
            "check mine: added",
        )

    def test_where_nothing_was_nothing_is(self, tmp_path: Path) -> None:
        assert load(tmp_path, {"preset": "internal"}).changed == ()
        assert load(tmp_path, {"preset": "internal", "suites": {"harmful": 500, "policy": "clinical"}}).changed == ()

    def test_nor_where_a_list_is_the_same(self, tmp_path: Path) -> None:
        assert load(tmp_path, {"preset": "internal", "suites": {"prompts": ["written"], "audit_axes": ["sex", "insurance"]}}).changed == ()

    def test_its_name_is_its_own(self, tmp_path: Path) -> None:
        assert load(tmp_path, {"preset": "internal"}, "ward.yaml").name == "ward"
        assert load(tmp_path, {"preset": "internal", "name": "ward 7"}).name == "ward 7"

    def test_no_such_preset(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"gate\.yaml: there is no preset 'lax'") as caught:
            load(tmp_path, {"preset": "lax"})
        assert all(name in str(caught.value) for name in PRESETS)

    def test_a_file_is_no_preset(self, tmp_path: Path) -> None:
        load(tmp_path, whole(), "base.yaml")
        with pytest.raises(DataError, match="there is no preset"):
            load(tmp_path, {"preset": str(tmp_path / "base.yaml")})


class TestFiles:
    def test_a_whole_one_starts_from_nothing(self, tmp_path: Path) -> None:
        config = load(tmp_path, whole(baseline="a" * 64, waivers="waivers.yaml", suites={"languages": ["zh"]}))
        assert (config.preset, config.changed, [check.id for check in config.checks]) == (None, (), ["mine"])
        assert (config.baseline, config.waivers, config.suites.languages) == ("a" * 64, "waivers.yaml", ("zh",))

    def test_files_it_names_lie_beside_it(self, tmp_path: Path) -> None:
        assert load(tmp_path, whole()).beside("waivers.yaml") == tmp_path / "waivers.yaml"
        assert load(tmp_path, {"preset": "internal"}).beside("waivers.yaml") == tmp_path / "waivers.yaml"

    def test_none_takes_the_place_of_a_preset(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whoever can put a file there has no say in what a preset's name means."""
        monkeypatch.chdir(tmp_path)
        load(tmp_path, whole(name="ours"), "research")
        assert load_config("research").name == load_config(Path("research")).name == "research"
        assert load_config("./research").name == "ours"
        assert load_config(tmp_path / "research").name == "ours"

    @pytest.mark.parametrize("source", ["gone.yaml", "internal.yaml", "", Path("presets/internal")])
    def test_none_there(self, source: str | Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(DataError, match="There is no configuration") as caught:
            load_config(source)
        assert all(name in str(caught.value) for name in PRESETS)

    @pytest.mark.parametrize(
        ("value", "told"),
        [
            (whole(colour="red"), "colour"),
            (whole(schema_version=2), "schema_version"),
            (whole(suites={"prompt": ["written"]}), "suites.prompt"),
            (whole(suites={"prompts": []}), "suites.prompts"),
            (whole(suites={"languages": ["fr"]}), "suites.languages"),
            (whole(suites={"harmful": 0}), "suites.harmful"),
            (whole(suites={"items": 10}), "suites.items"),
            (whole(suites={"canaries": 0}), "suites.canaries"),
            (whole(suites={"require": {"harmful": {"colour": 1}}}), "colour"),
            (whole(checks=[CHECK, CHECK]), "two checks have the same id, mine"),
            (whole(checks=[{**CHECK, "stage": "vibes"}]), "stage"),
            (whole(checks=[{**CHECK, "kind": "hope"}]), "kind"),
            (whole(checks=[{**CHECK, "kind": "max_rate", "limit": 5}]), "check mine: a rate's limit is between 0 and 1"),
            (whole(checks=[{**CHECK, "confidence": 0.5}]), "confidence"),
            (whole(checks=[{**CHECK, "limit": float("nan")}]), "limit"),
            (whole(checks=[{name: CHECK[name] for name in ("id", "stage", "kind")}]), "why"),
            (whole(checks=[{name: CHECK[name] for name in ("why", "stage", "kind")}]), "id"),
            ({"preset": "internal", "checks": [{"id": "over-refusal", "limit": 5}]}, "check over-refusal"),
            ({"preset": "internal", "checks": [{"id": "over-refusals", "limit": 0.1}]}, "stage"),
            ({"preset": "internal", "suites": {"harmfull": 10}}, "harmfull"),
            ("schema_version: 1\nname: [x\n", "line"),
            ("schema_version: 1\nname: x\nname: y\n", "name"),
            ("- a\n", ""),
            ("", ""),
        ],
    )
    def test_what_does_not_fit_is_named_with_its_file(self, tmp_path: Path, value: dict[str, Any] | str, told: str) -> None:
        with pytest.raises(DataError) as caught:
            load(tmp_path, value)
        assert str(tmp_path / "gate.yaml") in str(caught.value)
        assert told in str(caught.value)
        assert caught.value.mend
        assert caught.value.exit_code == 2

    def test_what_was_read_does_not_change(self, tmp_path: Path) -> None:
        with pytest.raises(ValidationError):
            load(tmp_path, whole()).name = "y"  # type: ignore[misc]

    def test_it_can_be_written_into_a_report_and_read_again(self, tmp_path: Path) -> None:
        for config in (load_config("china-genai"), load(tmp_path, {"preset": "internal", "checks": [CHECK]})):
            again = GateConfig.model_validate(config.model_dump(mode="json"))
            assert again.model_dump() == config.model_dump()

    def test_stages_are_those_of_its_checks_and_the_scan(self, tmp_path: Path) -> None:
        assert load(tmp_path, whole()).stages() == ["artifact_scan", "audit"]
        assert load_config("internal").stages() == list(METRICS)
