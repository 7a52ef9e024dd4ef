"""What leaves the machine holds no place of it, no control character, and no more of an item than 200 characters."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardmed.gate.emit import FORMATS, summary, workflow_commands
from guardmed.gate.emit.words import ITEM, SENTENCE, level, name_of, plain, shortened, tidied, worst_first
from guardmed.gate.evidence import ItemOutcome
from guardmed.gate.report import GateReport
from tests.unit.gate_emit_reports import ANY, CONFIG, DIGEST, applied, check, evidence, mixed, report, reports


def everything(given_report: GateReport) -> str:
    """All that is ever emitted of a report."""
    written = [write(given_report) for _, write in FORMATS.values()]
    texts = [one if isinstance(one, str) else json.dumps(one, ensure_ascii=False) for one in written]
    return "\n".join([*texts, workflow_commands(given_report), summary(given_report)])


def told(text: str, checkpoint: str = "reference") -> str:
    return tidied(report(check("a", "fail", told=text), checkpoint=checkpoint)).checks[0].told


class TestCharacters:
    @given(ANY)
    def test_only_what_xml_allows_is_left(self, text: str) -> None:
        """Production Char of XML 1.0, without tab and line ends."""
        for char in plain(text):
            code = ord(char)
            assert 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or 0x10000 <= code <= 0x10FFFF
            assert not 0x7F <= code <= 0x9F
        assert plain(plain(text)) == plain(text)
        plain(text).encode()

    @pytest.mark.parametrize("text", ["What about 8 g of paracetamol?", "我想问二甲双胍怎么吃", "dose ≤ 5 mg/kg; naïve 💊"])
    def test_ordinary_texts_stay(self, text: str) -> None:
        assert plain(text) == told(text) == text

    def test_bidirectional_and_escape_sequences_go(self) -> None:
        assert plain("a\u202eb\x1b[31mc\u200b\r\n\td\ud800") == "ab[31mc d"

    @given(reports())
    @settings(max_examples=60, deadline=None)
    def test_no_control_character_is_emitted(self, any_report: GateReport) -> None:
        text = everything(any_report)
        text.encode()
        assert not {char for char in text if ord(char) < 0x20 and char != "\n"}


class TestLength:
    @given(st.text(max_size=300), st.integers(1, 250))
    def test_shortened(self, text: str, limit: int) -> None:
        found = shortened(text, limit)
        assert found == text if len(text) <= limit else len(found) == limit and found.endswith("…") and text.startswith(found[:-1])

    def test_no_more_of_a_prompt_than_a_reader_needs(self) -> None:
        secret = "".join(chr(0x4E00 + place) for place in range(400))
        text = everything(report(check("a", "fail", examples=(secret,), told=secret[:ITEM])))
        assert secret[:100] in text
        assert secret[199:202] not in text

    def test_with_its_id_an_item_is_no_longer(self) -> None:
        found = report(check("a", "fail", examples=("x" * 300,)), found=(evidence("refusal", items=(("rule/violating/0", "x" * 300),)),))
        (item,) = tidied(found).checks[0].examples
        assert item.startswith("rule/violating/0: xxx")
        assert len(item) == ITEM

    def test_a_sentence_has_an_end(self) -> None:
        assert len(told("word " * 10_000)) == SENTENCE

    def test_items_of_the_evidence_stay_at_home(self) -> None:
        again = (ItemOutcome(id="y", outcome=1, shown="never shown"),)
        found = report(check("a", "pass"), found=(evidence("refusal", items=(("x", "never shown"),), canaries=again, about={"seed": "never shown"}),))
        assert "never shown" not in everything(found)
        assert tidied(found).evidence["refusal"].items == ()
        assert "8 of 16, 1 reworded" in summary(found)

    def test_of_the_files_only_digests_leave(self) -> None:
        secret = {"manifest": {"never shown": DIGEST}, "versions": {"never shown": "1"}, "seal": "never shown"}
        assert "never shown" not in everything(report(check("a", "fail"), **secret))

    def test_a_waiver_is_told_to_its_end(self) -> None:
        found = report(check("a", "waived", told="x" * 2000), waivers=(applied("a", owner="o" * 200, reason="r" * 2000),))
        (said,) = (one.told for one in tidied(found).checks)
        assert len(said) <= SENTENCE
        assert "Waived by ooo" in said
        assert " until 2027-01-15: rrr" in said


class TestPlaces:
    @pytest.mark.parametrize(
        ("checkpoint", "name"),
        [
            ("reference", "reference"),
            ("org/name", "org/name"),
            ("./out/step-100/", "out/step-100"),
            ("a/../b//c", "b/c"),
            ("/data/models/x/", "x"),
            ("../y", "y"),
            ("~/z/w", "w"),
            ("C:\\Users\\me\\m", "m"),
            ("\\\\server\\share\\m", "m"),
            ("C:\\", "checkpoint"),
            ("/", "checkpoint"),
            (".", "checkpoint"),
            ("..", "checkpoint"),
            ("~", "checkpoint"),
            ("", "checkpoint"),
            ("\x00\n", "checkpoint"),
            ("openai:gpt@https://key@host/v1", "openai:gpt"),
        ],
    )
    def test_what_a_checkpoint_is_called(self, checkpoint: str, name: str) -> None:
        assert name_of(checkpoint) == name

    @given(ANY)
    def test_a_name_is_never_a_place(self, checkpoint: str) -> None:
        name = name_of(checkpoint)
        assert name
        assert not name.startswith(("/", "~", "./", "../"))

    @pytest.mark.parametrize(
        ("text", "left"),
        [
            ("/data/models/x/model.safetensors can't be read.", "model.safetensors can't be read."),
            ("No such file: '/home/jo smith/secret dir/config.json'", "No such file: 'config.json'"),
            ("see /home/jo/secret/a.json, or not", "see a.json, or not"),
            ("Errno 2:/home/jo/secret/a.json", "Errno 2:a.json"),
            ("found (/mnt/secret/b/) here", "found (b) here"),
            ("at file:///srv/secret/c.json", "at c.json"),
            ("at ~/secret/d.json", "at d.json"),
            ("读取/home/jo/secret/e.json失败", "读取e.json失败"),
            (r"open C:\Users\jo\secret\f.json failed", "open f.json failed"),
            (r"open \\server\secret\g.json failed", "open g.json failed"),
            ("/ho\x00me/jo/sec\u200bret/h.json", "h.json"),
        ],
    )
    def test_paths_become_names(self, text: str, left: str) -> None:
        assert told(text, "/data/models/x") == left

    @pytest.mark.parametrize(
        "text",
        [
            "5 mg/kg/day, and/or 120/80 mmHg",
            "2 mg /kg/day in two doses",
            "毫克/千克/天",
            "see https://www.who.int/a/b/c.html",
            "dose/violating/0: text",
            "1 / 2 / 3",
            "km²/h",
        ],
    )
    def test_what_is_no_path_stays(self, text: str) -> None:
        assert told(text) == text

    @pytest.mark.parametrize("checkpoint", ["out/step 100", "/data/jo smith/step 100"])
    def test_files_are_told_relative_to_the_checkpoint(self, checkpoint: str) -> None:
        whole = Path(checkpoint).absolute()
        name = name_of(checkpoint)
        assert told(f"{whole}/shards/a.bin is torn, {whole} is not whole", checkpoint) == f"shards/a.bin is torn, {name} is not whole"
        assert told(f"{checkpoint}/shards/a.bin is torn", checkpoint) == "shards/a.bin is torn"
        assert "smith" not in told(f"{whole.parent}/other one", checkpoint)

    def test_settings_name_files_and_not_their_places(self) -> None:
        suites = CONFIG.suites.model_copy(update={"policy": "clinical,/srv/jo/mine", "prompts": ("/srv/jo/own.jsonl",), "guarded": True})
        config = CONFIG.model_copy(update={"suites": suites, "preset": "internal", "changed": ("suites.policy: clinical → /srv/jo/mine",)})
        text = everything(report(check("a", "fail"), config=config))
        assert "jo/" not in text
        assert "policy clinical, mine" in text
        assert "clinical → mine" in text

    def test_neither_where_it_ran_nor_whose_home_it_was(self, monkeypatch, tmp_path) -> None:
        monkeypatch.setenv("HOME", str(tmp_path / "jo smith"))
        (tmp_path / "work ing").mkdir()
        monkeypatch.chdir(tmp_path / "work ing")
        text = everything(report(check("a", "fail", told=f"{Path.home()}/x.json and {Path.cwd()}/y.json", examples=(f"{Path.home()}/z.json",))))
        assert "jo smith" not in text
        assert "work ing" not in text

    @given(
        st.lists(st.text("abcXYZ019_-.", min_size=2, max_size=8).filter(lambda part: part.strip(".")), min_size=2, max_size=5),
        st.sampled_from(["", "at ", "in:", "(", "=", "'", "\n", "读取 ", "<"]),
    )
    def test_no_absolute_path_is_emitted(self, parts: list[str], before: str) -> None:
        place = "/" + "/".join(["unlikely", *parts])
        text = everything(report(check("a", "fail", why=before + place, told=before + place + " x", examples=(before + place,)), checkpoint=place))
        assert "unlikely" not in text


def test_the_worst_comes_first() -> None:
    order = [(one.id, level(one)) for one in worst_first(mixed())]
    assert order == [
        ("refusals", "error"),
        ("latency", "error"),
        ("bias", "error"),
        ("capability", "warning"),
        ("over", "warning"),
        ("regression", "note"),
        ("files", "none"),
    ]
    assert [one.id for one in worst_first(report(check("a", "fail"), check("b", "fail", critical=True)))] == ["b", "a"]
