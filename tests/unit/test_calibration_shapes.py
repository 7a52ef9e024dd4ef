"""Each published shape, from a file written by hand to items; and what is refused, with the line."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from types import SimpleNamespace

import pyarrow
import pyarrow.parquet
import pytest

from guardmed.calibration.items import load_items
from guardmed.calibration.shapes import parse_hub, read_hub, read_items, read_set
from guardmed.errors import DataError
from guardmed.resources import data_folder
from tests.conftest import ROOT

OWN = {"id": "g1", "question": "Which antidote is given for paracetamol overdose?", "options": ["Flumazenil", "Acetylcysteine"], "answer": 1}
MEDQA = {
    "question": "A 23-year-old pregnant woman has burning on urination. What is the best treatment?",
    "answer": "Nitrofurantoin",
    "options": {"A": "Ampicillin", "B": "Ceftriaxone", "C": "Ciprofloxacin", "D": "Doxycycline", "E": "Nitrofurantoin"},
    "answer_idx": "E",
}
MEDMCQA = {
    "id": "4e17-a",
    "question": "Low insulin to glucagon ratio is seen in all except:",
    "cop": 0,
    "subject_name": "Physiology",
} | {"opa": "Glycogen synthesis", "opb": "Glycogen breakdown", "opc": "Gluconeogenesis", "opd": "Ketogenesis"}
PUBMEDQA = {
    "pubid": 21645374,
    "question": "Do mitochondria play a role in cell death?",
    "context": {"contexts": ["Leaves make holes.", "黄芪 was given to none."], "labels": ["BACKGROUND", "RESULTS"], "meshes": ["Apoptosis"]},
    "final_decision": "yes",
}
CMEXAM = {
    "Question": "患者水肿，面浮肢肿，腰以下为甚，首选的方剂是",
    "Options": "A 真武汤\nB 五皮饮\nC 越婢加术汤\nD 实脾饮\nE 己椒苈黄丸",
    "Answer": "A",
}
CMB = {
    "exam_subject": "口腔执业医师",
    "question": "患者，男性，11岁，低热两个月，可能患",
    "answer": "D",
    "question_type": "单项选择题",
    "option": {"A": "小叶型肺炎", "B": "浸润性肺结核", "C": "继发性肺结核", "D": "原发性肺结核", "E": ""},
}
CMMLU = {"": "0", "Question": "壁胸膜的分部不包括", "A": "肋胸膜", "B": "肺胸膜", "C": "膈胸膜", "D": "胸膜顶", "Answer": "B"}
CEVAL = {"id": 7, "question": "胆汁由哪个器官分泌", "A": "肝", "B": "胆囊", "C": "胰", "D": "胃", "answer": "A", "explanation": ""}


DOCUMENTED = [
    (part.split("\n", 1)[0], example)
    for part in (ROOT / "docs" / "question-sets.md").read_text(encoding="utf-8").split("\n## ")[1:]
    for example in re.findall(r"```json\n(.*?)\n```", part, re.DOTALL)
]


def write(path, rows):
    """Rows in the format that the suffix names; lists and objects are JSON in the cells of a CSV."""
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows, ensure_ascii=False, indent=1), encoding="utf-8")
    elif path.suffix == ".csv":
        out = io.StringIO()
        writer = csv.DictWriter(out, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows({k: json.dumps(v, ensure_ascii=False) if isinstance(v, (dict, list)) else v for k, v in row.items()} for row in rows)
        path.write_text(out.getvalue(), encoding="utf-8", newline="")
    else:
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


def right(item):
    return item.options[item.answer]


@pytest.fixture(params=[".jsonl", ".json", ".csv", ".parquet"])
def suffix(request):
    return request.param


class TestShapes:
    def test_guardmed(self, tmp_path, suffix):
        path = write(tmp_path / f"own{suffix}", [OWN, OWN | {"id": "g2", "question": "对乙酰氨基酚中毒用什么解毒？", "answer": 0}])
        found = read_set(path)
        assert (found.shape, found.left_out) == ("GuardMed", 0)
        assert [(item.id, right(item), item.lang) for item in found.items] == [("g1", "Acetylcysteine", "en"), ("g2", "Flumazenil", "zh")]

    def test_the_written_sets_are_read_as_they_are(self):
        files = sorted((data_folder("calibration") / "sets").glob("*.jsonl"))
        assert [item for file in files for item in read_items(file)] == load_items()

    def test_guardmed_keeps_what_an_item_may_say_of_itself(self, tmp_path):
        own = OWN | {"kind": "true_false", "lang": "zh", "specialty": "emergency-medicine", "source": "BNF", "self": "x"}
        item = read_items(write(tmp_path / "own.jsonl", [own]))[0]
        assert (item.kind, item.lang, item.specialty, item.source) == ("true_false", "zh", "emergency-medicine", "BNF")

    def test_medqa(self, tmp_path, suffix):
        four = MEDQA | {"options": {letter: MEDQA["options"][letter] for letter in "ABCD"}, "answer": "Ceftriaxone", "answer_idx": "B"}
        found = read_set(write(tmp_path / f"medqa{suffix}", [MEDQA, four]))
        assert found.shape == "MedQA"
        assert [(right(item), len(item.options), item.source) for item in found.items] == [("Nitrofurantoin", 5, "MedQA"), ("Ceftriaxone", 4, "MedQA")]

    def test_medqa_by_the_text_or_the_letter_of_its_answer(self, tmp_path):
        text = {"question": "Which?", "options": {"A": "Aspirin", "B": "Warfarin"}, "answer": "Warfarin"}
        listed = text | {"options": [{"key": "A", "value": "Aspirin"}, {"key": "B", "value": "Warfarin"}], "answer": "A"}
        assert [right(item) for item in read_items(write(tmp_path / "medqa.jsonl", [text, listed]))] == ["Warfarin", "Aspirin"]

    def test_medqa_answer_that_is_one_options_letter_and_anothers_text_is_refused(self, tmp_path):
        row = {"question": "Which vitamin?", "options": {"A": "C", "B": "K", "C": "D"}, "answer": "C"}
        with pytest.raises(DataError, match=r"line 1: the answer 'C' fits several options"):
            read_items(write(tmp_path / "medqa.jsonl", [row]))
        assert right(read_items(write(tmp_path / "medqa.jsonl", [row | {"answer_idx": "C"}]))[0]) == "D"

    def test_pubmedqa_rows(self, tmp_path):
        for path in (tmp_path / "p.jsonl", tmp_path / "p.parquet", tmp_path / "p.csv"):
            items = read_items(write(path, [PUBMEDQA, PUBMEDQA | {"pubid": 2, "final_decision": "maybe"}]))
            assert [right(item) for item in items] == ["yes", "maybe"]
            assert items[0].question == "Leaves make holes.\n黄芪 was given to none.\nDo mitochondria play a role in cell death?"
            assert items[0].options == ("yes", "no", "maybe")
            assert items[0].lang == "en", "the language is the question's, not the abstract's"
            assert str(items[0].id) == "21645374"

    def test_pubmedqa_object_by_id(self, tmp_path):
        entry = {"QUESTION": "是否有效?", "CONTEXTS": ["Methods.", "Results."], "LABELS": [], "YEAR": "2011", "final_decision": "no"}
        found = read_set(write(tmp_path / "ori_pqal.json", {"9488747": entry, "17208539": entry | {"final_decision": "yes"}}))
        assert found.shape == "PubMedQA"
        assert [(item.id, right(item), item.lang) for item in found.items] == [("9488747", "no", "zh"), ("17208539", "yes", "zh")]
        assert found.items[0].question == "Methods.\nResults.\n是否有效?"

    def test_pubmedqa_without_a_decision_names_the_entry(self, tmp_path):
        path = write(tmp_path / "ori_pqau.json", {"14499029": {"QUESTION": "Is it?", "CONTEXTS": ["Yes."]}})
        with pytest.raises(DataError, match=r"entry 14499029: the row is unlabelled \(final_decision"):
            read_items(path)

    def test_cmexam_lines(self, tmp_path, suffix):
        item = read_items(write(tmp_path / f"cmexam{suffix}", [CMEXAM]))[0]
        assert item.options == ("真武汤", "五皮饮", "越婢加术汤", "实脾饮", "己椒苈黄丸")
        assert (right(item), item.lang, item.source) == ("真武汤", "zh", "CMExam")

    def test_cmexam_list(self, tmp_path):
        listed = CMEXAM | {"Options": [{"key": "A", "value": "真武汤"}, {"key": "B", "value": "五皮饮"}], "Answer": "B"}
        for path in (tmp_path / "c.jsonl", tmp_path / "c.parquet"):
            assert right(read_items(write(path, [listed]))[0]) == "五皮饮"

    @pytest.mark.parametrize(
        ("lines", "options"),
        [
            ("A. 甲\nB、乙\nC：丙", ("甲", "乙", "丙")),
            ("A A型血\nB B型血\r\nC O型血", ("A型血", "B型血", "O型血")),
            ("A 甲\n\nB 乙\n其二\nC ", ("甲", "乙\n其二")),
        ],
    )
    def test_option_lines(self, tmp_path, lines, options):
        assert read_items(write(tmp_path / "c.jsonl", [CMEXAM | {"Options": lines}]))[0].options == options

    @pytest.mark.parametrize("lines", ["甲\n乙", "真武汤\nA 甲\nB 乙", "A 甲\nA 乙\nB 丙"])
    def test_option_lines_without_clear_letters_are_refused(self, tmp_path, lines):
        with pytest.raises(DataError, match=r"c\.jsonl, line 2: the options are not a text each for the letters"):
            read_items(write(tmp_path / "c.jsonl", [CMEXAM, CMEXAM | {"Options": lines}]))

    def test_cmb_leaves_empty_options_out(self, tmp_path, suffix):
        found = read_set(write(tmp_path / f"cmb{suffix}", [CMB]))
        assert found.shape == "CMB"
        assert found.items[0].options == ("小叶型肺炎", "浸润性肺结核", "继发性肺结核", "原发性肺结核")
        assert (right(found.items[0]), found.items[0].specialty, found.items[0].id) == ("原发性肺结核", "口腔执业医师", "2" if suffix == ".csv" else "1")

    def test_cmmlu_and_ceval(self, tmp_path, suffix):
        cmmlu = read_set(write(tmp_path / f"anatomy{suffix}", [CMMLU]))
        ceval = read_set(write(tmp_path / f"basic_medicine_val{suffix}", [CEVAL]))
        assert (cmmlu.shape, right(cmmlu.items[0]), cmmlu.items[0].lang) == ("CMMLU", "肺胸膜", "zh")
        assert (ceval.shape, right(ceval.items[0]), str(ceval.items[0].id)) == ("C-Eval", "肝", "7")

    def test_an_unlabelled_split_is_refused(self, tmp_path):
        with pytest.raises(DataError, match=r"line 3: the row is unlabelled \(answer"):
            read_items(write(tmp_path / "test.csv", [CEVAL, CEVAL | {"answer": ""}]))


class TestWhereMedMCQACountsFrom:
    def read(self, tmp_path, *cops, suffix=".jsonl"):
        rows = [{key: value for key, value in (MEDMCQA | {"cop": cop}).items() if value is not None} for cop in cops]
        return read_items(write(tmp_path / f"medmcqa{suffix}", rows))

    def test_a_zero_anywhere_counts_from_zero(self, tmp_path, suffix):
        items = self.read(tmp_path, 1, 3, 0, suffix=suffix)
        assert [right(item) for item in items] == ["Glycogen breakdown", "Ketogenesis", "Glycogen synthesis"]
        assert (items[0].id, items[0].specialty, items[0].lang) == ("4e17-a", "Physiology", "en")

    def test_a_four_anywhere_counts_from_one(self, tmp_path, suffix):
        assert [right(item) for item in self.read(tmp_path, 1, 4, 2, suffix=suffix)] == ["Glycogen synthesis", "Ketogenesis", "Glycogen breakdown"]

    def test_neither_asks_for_a_fuller_file(self, tmp_path):
        with pytest.raises(DataError, match=r"never 0 nor 4.*fuller file"):
            self.read(tmp_path, 1, 2, 3)

    def test_both_is_a_mixture(self, tmp_path):
        with pytest.raises(DataError, match=r"cop is 0 in some rows and 4 in others"):
            self.read(tmp_path, 0, 4)

    @pytest.mark.parametrize(
        ("cop", "problem"), [(-1, r"line 2: the row is unlabelled \(cop is -1\)"), (None, "line 2: .*unlabelled"), (5, "line 2: cop '5' is not")]
    )
    def test_what_is_no_answer_is_refused_with_the_line(self, tmp_path, cop, problem):
        with pytest.raises(DataError, match=problem):
            self.read(tmp_path, 0, cop, 3)

    def test_a_column_with_gaps_holds_floats(self, tmp_path):
        assert [right(item) for item in self.read(tmp_path, 0.0, 3.0, suffix=".parquet")] == ["Glycogen synthesis", "Ketogenesis"]

    def test_lines_that_are_called_json(self, tmp_path):
        path = tmp_path / "dev.json"
        path.write_text("".join(json.dumps(MEDMCQA | {"id": str(cop), "cop": cop}) + "\n" for cop in (4, 1)), encoding="utf-8")
        assert [right(item) for item in read_items(path)] == ["Ketogenesis", "Glycogen synthesis"]


class TestSeveralRightOptions:
    @pytest.mark.parametrize(("row", "answer"), [(CMEXAM, "Answer"), (CMB, "answer")])
    @pytest.mark.parametrize("letters", ["AC", "A,C", "C、A"])
    def test_refused_or_left_out_and_counted(self, tmp_path, row, answer, letters):
        path = write(tmp_path / "set.jsonl", [row, row | {answer: letters}, row])
        with pytest.raises(DataError, match=r"set\.jsonl, line 2: several options are right .*skip_multiple=True"):
            read_items(path)
        found = read_set(path, skip_multiple=True)
        assert ([item.id for item in found.items], found.left_out) == (["1", "3"], 1)
        assert read_items(path, skip_multiple=True) == found.items

    def test_nothing_left(self, tmp_path):
        with pytest.raises(DataError, match="no question with one right option"):
            read_items(write(tmp_path / "set.jsonl", [CMB | {"answer": "ABC"}]), skip_multiple=True)

    def test_leaving_them_out_forgives_nothing_else(self, tmp_path):
        with pytest.raises(DataError, match="line 1: the answer 'DE' is not one of the options A, B, C, D"):
            read_items(write(tmp_path / "set.jsonl", [CMB | {"answer": "DE"}]), skip_multiple=True)


class TestClassification:
    @pytest.mark.parametrize(
        ("rows", "shape", "options", "words"),
        [
            (
                [{"id": "s1", "query": "心肌缺血如何治疗？", "label": "治疗方案"}, {"id": "s2", "query": "什么叫痔？", "label": "疾病表述"}],
                "KUAKE-QIC",
                ("治疗方案", "疾病表述"),
                ("意图分类", "心肌缺血如何治疗？"),
            ),
            (
                [{"id": "s1", "query1": "天价输液费", "query2": "输液价格", "label": "0"}, {"id": "s2", "query1": "黄体", "query2": "女性黄体", "label": "2"}],
                "KUAKE-QQR",
                ("0", "2"),
                ("查询词-查询词相关性", "查询词一：天价输液费\n查询词二：输液价格"),
            ),
            (
                [{"id": "s1", "query": "咳嗽到腹肌疼", "title": "咳嗽引起的疼痛", "label": "2"}, {"id": "s2", "query": "烂牙", "title": "怀孕", "label": "1"}],
                "KUAKE-QTR",
                ("1", "2"),
                ("页面标题相关性", "查询词：咳嗽到腹肌疼\n标题：咳嗽引起的疼痛"),
            ),
            (
                [{"id": "s1", "text": "器官移植{史}", "label": "Therapy or Surgery"}, {"id": "s2", "text": "酗酒患者", "label": "Addictive Behavior"}],
                "CHIP-CTC",
                ("Addictive Behavior", "Therapy or Surgery"),
                ("筛选标准", "器官移植{史}"),
            ),
        ],
    )
    def test_labels_of_the_file_are_the_options(self, tmp_path, suffix, rows, shape, options, words):
        found = read_set(write(tmp_path / f"cblue{suffix}", rows))
        assert found.shape == shape
        assert [item.options for item in found.items] == [options, options]
        assert [right(item) for item in found.items] == [row["label"] for row in rows]
        assert [item.id for item in found.items] == ["s1", "s2"]
        assert all(word in found.items[0].question for word in words)
        assert {item.lang for item in found.items} == {"zh"}

    def test_numbers_as_labels(self, tmp_path):
        rows = [{"query1": "甲", "query2": "乙", "label": label} for label in (2, 0, "NA")]
        items = read_items(write(tmp_path / "qqr.json", rows))
        assert [right(item) for item in items] == ["2", "0", "0"], "CBLUE counts NA as 0"

    @pytest.mark.parametrize("labels", [["甲", "甲"], [f"类{n}" for n in range(27)]])
    def test_one_label_or_more_than_an_item_can_hold(self, tmp_path, labels):
        with pytest.raises(DataError, match=rf"holds {len(set(labels))} label.* must be 2 to 26"):
            read_items(write(tmp_path / "qic.json", [{"query": "问", "label": label} for label in labels]))

    def test_an_unlabelled_row_is_refused(self, tmp_path):
        rows = [{"text": "年龄", "label": "Age"}, {"text": "性别", "label": ""}]
        with pytest.raises(DataError, match=r"ctc\.json, row 2: the row is unlabelled"):
            read_items(write(tmp_path / "ctc.json", rows))


class TestFiles:
    @pytest.mark.parametrize(("shape", "example"), DOCUMENTED)
    def test_the_documented_examples(self, tmp_path, shape, example):
        path = tmp_path / "example.json"
        path.write_text(example, encoding="utf-8")
        assert read_set(path).shape == shape

    def test_an_unknown_shape_lists_those_known(self, tmp_path):
        with pytest.raises(DataError, match="no known question set has the fields prompt, completion") as caught:
            read_items(write(tmp_path / "x.jsonl", [{"prompt": "p", "completion": "c"}]))
        assert all(f"{name} (" in str(caught.value) for name, _ in DOCUMENTED)

    def test_a_row_of_another_shape_names_its_line(self, tmp_path):
        with pytest.raises(DataError, match=r"mixed\.jsonl, line 2: the options"):
            read_items(write(tmp_path / "mixed.jsonl", [CMMLU, MEDQA]))
        with pytest.raises(DataError, match=r"mixed\.jsonl, line 2: question is missing"):
            read_items(write(tmp_path / "mixed.jsonl", [MEDMCQA, CMEXAM | {"cop": 3, "opa": "a", "opd": "d"}]))
        with pytest.raises(DataError, match=r"mixed\.jsonl, line 2: options"):
            read_items(write(tmp_path / "mixed.jsonl", [OWN, MEDQA]))
        with pytest.raises(DataError, match=r"mixed\.jsonl, line 2: the options"):
            read_items(write(tmp_path / "mixed.jsonl", [MEDQA, OWN]))

    def test_ids_are_line_numbers_where_rows_have_none(self, tmp_path):
        path = tmp_path / "medqa.jsonl"
        path.write_text(json.dumps(MEDQA) + "\n\n" + json.dumps(MEDQA) + "\n", encoding="utf-8")
        assert [item.id for item in read_items(path)] == ["1", "3"]
        assert [item.id for item in read_items(write(tmp_path / "medqa.json", [MEDQA, MEDQA]))] == ["1", "2"]

    def test_gaps_of_a_table_are_absent(self, tmp_path):
        table = pyarrow.table({"id": [float("nan")], "question": ["Q?"], "A": ["x"], "B": ["y"], "C": ["z"], "D": [float("nan")], "answer": ["C"]})
        pyarrow.parquet.write_table(table, tmp_path / "t.parquet")
        item = read_items(tmp_path / "t.parquet")[0]
        assert (item.id, item.options, right(item)) == ("1", ("x", "y", "z"), "z")

    def test_an_answer_beyond_the_options(self, tmp_path):
        with pytest.raises(DataError, match=r"own\.jsonl, line 1: answer 2 is not one of the 2 options"):
            read_items(write(tmp_path / "own.jsonl", [OWN | {"answer": 2}]))
        with pytest.raises(DataError, match=r"c\.jsonl, line 1: the answer 'F' is not one of the options A, B, C, D, E"):
            read_items(write(tmp_path / "c.jsonl", [CMEXAM | {"Answer": "F"}]))

    @pytest.mark.parametrize(
        ("content", "problem"),
        [
            ("[]", "holds no questions"),
            ('[{"question": 1}, 2]', "row 2: a int, not an object"),
            ('"text"', "row 1: a str, not an object"),
            ('[{"question": \n "x",]', "line 2: not JSON"),
            ("[" * 100_000, "not a question set"),
            (b'\xef\xbb\xbf["\xff"]', "line 1: not UTF-8"),
            ('{"question": "x"}\n{"question": \n', "line 2: not JSON"),
        ],
    )
    def test_broken_json(self, tmp_path, content, problem):
        path = tmp_path / "broken.json"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(DataError, match=problem):
            read_items(path)

    def test_a_byte_order_mark_is_no_obstacle(self, tmp_path):
        path = tmp_path / "bom.json"
        path.write_bytes(b"\xef\xbb\xbf" + json.dumps([CMB], ensure_ascii=False).encode())
        assert right(read_items(path)[0]) == "原发性肺结核"

    @pytest.mark.parametrize("name", ["none.json", "none.jsonl", "set.xlsx", "set"])
    def test_a_missing_or_strange_file(self, tmp_path, name):
        with pytest.raises(DataError, match=name):
            read_items(tmp_path / name)

    def test_standard_input(self, monkeypatch):
        data = (json.dumps(MEDQA) + "\n" + json.dumps(MEDQA | {"answer_idx": "G"}) + "\n").encode()
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
        with pytest.raises(DataError, match="standard input, line 2: the answer 'G'"):
            read_items("-")


class TestHub:
    @pytest.mark.parametrize(
        ("name", "parts"),
        [
            ("hub:openlifescienceai/medmcqa", ("openlifescienceai/medmcqa", None, None)),
            ("hub:openlifescienceai/medmcqa:validation", ("openlifescienceai/medmcqa", None, "validation")),
            ("hub:qiaojin/PubMedQA:pqa_labeled", ("qiaojin/PubMedQA", "pqa_labeled", None)),
            ("hub:ceval/ceval-exam:basic_medicine:val", ("ceval/ceval-exam", "basic_medicine", "val")),
            ("hub:org/name::dev", ("org/name", None, "dev")),
            ("hub:org/name:test:dev", ("org/name", "test", "dev")),
        ],
    )
    def test_names(self, name, parts):
        assert parse_hub(name) == parts

    @pytest.mark.parametrize("name", ["org/name", "hub:name", "hub:org/name:a:b:c", "hub:org/name:a:", "hub:/name", "hub:../name", "hub:"])
    def test_names_of_no_set(self, name):
        with pytest.raises(DataError, match="hub:org/name:config:split"):
            read_hub(name)

    @pytest.mark.parametrize("read", [read_hub, read_items])
    def test_without_the_package(self, monkeypatch, read):
        monkeypatch.setitem(sys.modules, "datasets", None)
        with pytest.raises(DataError, match=r"hub:org/name:test needs the package datasets.*pip install datasets"):
            read("hub:org/name:test")
