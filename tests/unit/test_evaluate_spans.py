"""Entities of published files and of models' answers: every shape, what is wrong with a row, and what is read leniently."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardmed.errors import DataError
from guardmed.evaluate.mentions import TITLES, locate, prompt, read
from guardmed.evaluate.ner import Entities, controls
from guardmed.evaluate.selection import NotInLanguage, Selection, written
from guardmed.evaluate.spans import Entity, Sentence, chunks, read_sentences

# A row in CMeEE's shape; the text is ours.
CMEEE = {
    "text": "患者发热，诊断肺炎。",
    "entities": [{"start_idx": 2, "end_idx": 3, "type": "sym", "entity": "发热"}, {"start_idx": 7, "end_idx": 8, "type": "dis", "entity": "肺炎"}],
}
FEVER, PNEUMONIA = Entity(2, 4, "sym"), Entity(7, 9, "dis")
LABELS = ("dis", "dru", "sym")


def file(tmp_path, rows, name="set.json"):
    path = tmp_path / name
    text = json.dumps(rows, ensure_ascii=False) if name.endswith(".json") else "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8")
    return path


def test_cmeee_is_read_as_it_was_published(tmp_path):
    (one,) = read_sentences(file(tmp_path, [CMEEE]))
    assert one == Sentence("1", CMEEE["text"], (FEVER, PNEUMONIA), "zh")


@pytest.mark.parametrize(
    "entity",
    [
        {"start_idx": 2, "end_idx": 3, "type": "sym"},  # as predictions are handed in: without the words
        {"start_idx": 2, "end_idx": 4, "type": "sym", "entity": "发热"},  # where copies count the end in another way, the words decide
        {"start_offset": 2, "end_offset": 4, "label": "sym", "entity": "发热"},
        {"start": 2, "end": 4, "entity_group": "sym", "word": "发热", "score": 0.9},
        {"start": 2, "end": 4, "label": "sym"},
    ],
)
def test_other_names_of_the_same_fields(tmp_path, entity):
    (one,) = read_sentences(file(tmp_path, [{"text": CMEEE["text"], "entities": [entity]}], "set.jsonl"))
    assert one.entities == (FEVER,)


def test_tags_by_token_are_joined_as_their_script_is(tmp_path):
    rows = [
        {"tokens": ["Severe", "chest", "pain", "."], "tags": ["O", "B-sym", "I-sym", "O"]},
        {"tokens": ["胸", "痛", "伴", "大", "汗"], "ner_tags": ["B-sym", "I-sym", "O", "B-sym", "I-sym"]},
    ]
    english, chinese = read_sentences(file(tmp_path, rows, "set.jsonl"))
    assert (english.text, english.entities) == ("Severe chest pain .", (Entity(7, 17, "sym"),))
    assert (chinese.text, chinese.entities) == ("胸痛伴大汗", (Entity(0, 2, "sym"), Entity(3, 5, "sym")))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"text": " ", "entities": []}, "text is missing"),
        ({"text": "a"}, "entities is not a list"),
        ({"text": "发热", "entities": [{"start_idx": 0, "type": "sym"}]}, "entities.0 lacks end_idx"),
        ({"text": "发热", "entities": [{"start_idx": 0, "end_idx": 1}]}, "entities.0 lacks type"),
        ({"text": "发热", "entities": [{"start_idx": "0", "end_idx": 1, "type": "sym"}]}, "entities.0.start_idx or end_idx is not a whole number"),
        ({"text": "发热", "entities": [{"start_idx": 0, "end_idx": 1, "type": ""}]}, "entities.0.type is not a text"),
        ({"text": "发热", "entities": [{"start_idx": 0, "end_idx": 1, "type": "sym", "entity": "头痛"}]}, "are '发', not '头痛'"),
        ({"text": "发热", "entities": [{"start_idx": 1, "end_idx": 5, "type": "sym"}]}, "lies outside the text of 2 characters"),
        ({"tokens": ["a"], "tags": ["O", "O"]}, "tags is not a list with one for each"),
        ({"tokens": ["a"], "tags": [0]}, "tags holds numbers"),
        ({"tokens": [""], "tags": ["O"]}, "tokens is not a list of texts"),
    ],
)
def test_a_row_that_does_not_fit_is_named_with_its_line_and_field(tmp_path, row, said):
    with pytest.raises(DataError) as error:
        read_sentences(file(tmp_path, [CMEEE, row], "set.jsonl"))
    assert "set.jsonl, line 2" in error.value.problem
    assert said in error.value.problem
    assert error.value.mend


@given(st.lists(st.sampled_from(["O", "B-a", "I-a", "E-a", "S-a", "B-b", "I-b", "E-b", "S-b"]), max_size=9))
def test_tags_are_read_as_seqeval_reads_them(tags):
    labelling = pytest.importorskip("seqeval.metrics.sequence_labeling", reason="seqeval, the oracle of tags, is not here: pip install seqeval")
    assert chunks(tags) == labelling.get_entities(tags)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_written_sentence_is_read_back_from_a_perfect_answer(language):
    for one in read_sentences(written("ner", language)):
        assert one.language == language
        assert {entity.label for entity in one.entities} <= TITLES.keys()
        assert all(a.end <= b.start for a, b in zip(one.entities, one.entities[1:], strict=False))
        answer = "\n".join(f"{entity.label}: {one.text[entity.start : entity.end]}" for entity in one.entities)
        assert locate(one.text, read(answer, tuple(TITLES))) == (list(one.entities), [])


@pytest.mark.parametrize(
    "answer",
    [
        "sym: 发热\ndis: 肺炎",
        "1. sym：发热\n2. dis：肺炎。",
        "- 临床表现: 发热\n- 疾病: “肺炎”",
        "Symptom or sign | 发热\nDisease | 肺炎",
        '[{"type": "sym", "entity": "发热"}, {"type": "dis", "entity": "肺炎"}]',
        '```json\n{"label": "sym", "text": "发热"}\n{"实体": "肺炎", "类型": "疾病"}\n```',
        "患者<sym>发热</sym>，诊断<dis>肺炎</dis>。",
        "发热 (sym)\n肺炎（疾病）",
        "好的，实体如下：\nsym -> 发热\ndis = 肺炎\n以上。",
        "sym: 发热\nsym: 发热\ndis: 肺炎\ndis: 无",
    ],
)
def test_answers_are_read_leniently(answer):
    assert locate(CMEEE["text"], [(label, words.rstrip("。")) for label, words in read(answer, LABELS)]) == ([FEVER, PNEUMONIA], [])


def test_what_does_not_stand_in_the_text_is_invented_once():
    named = [("dis", "asthma"), ("dis", "asthma"), ("sym", "Cough"), ("sym", "ill")]
    assert locate("A cough, still.", named) == ([Entity(2, 7, "sym")], [("dis", "asthma"), ("sym", "ill")])


def test_several_in_a_line_and_several_places():
    text = "Fever, then cough, then fever again."
    assert locate(text, [("sym", "fever, cough"), ("sym", "fever")])[0] == [Entity(0, 5, "sym"), Entity(12, 17, "sym"), Entity(24, 29, "sym")]
    assert locate("发热，咳嗽", [("sym", "发热，咳嗽")])[0] == [Entity(0, 5, "sym")]  # as a whole, where it stands as a whole


@given(st.text(max_size=60))
def test_any_answer_can_be_read(answer):
    entities, _ = locate(CMEEE["text"], read(answer, LABELS))
    assert all(0 <= one.start < one.end <= len(CMEEE["text"]) for one in entities)


def test_an_example_is_shown_only_of_types_that_are_asked_for():
    assert "apixaban" in prompt("x", ("dis", "dru", "pro"), "en")
    assert "apixaban" not in prompt("x", ("Chemical", "Disease"), "en")
    assert "利伐沙班" in prompt("x", tuple(TITLES), "zh")


def test_predictions_are_scored_by_id(tmp_path):
    gold = file(tmp_path, [CMEEE, {"text": "发热。", "entities": [{"start_idx": 0, "end_idx": 1, "type": "sym"}]}], "gold.jsonl")
    suite = Entities.of(Selection(language="zh", data=str(gold)))
    texts = {one.id: one.text for one in suite.sentences}
    said = file(
        tmp_path, [{"entities": [{"start_idx": 2, "end_idx": 3, "type": "sym"}, {"start_idx": 0, "end_idx": 1, "type": "dis"}]}, {"entities": []}], "s.jsonl"
    )
    result = suite.predicted(read_sentences(said, texts=texts), source="s.jsonl", system="tagger").result
    assert result.figures["micro_f1"].value == pytest.approx(2 * 1 / (2 * 1 + 1 + 2))
    assert result.parts["sym"].value == pytest.approx(2 / 3)
    with pytest.raises(DataError, match=r"lacks 1 of 2 sentences, '2' first"):
        suite.predicted(read_sentences(file(tmp_path, [CMEEE], "one.jsonl")), source="one.jsonl", system="tagger")
    with pytest.raises(DataError, match="'1' stands twice"):
        suite.predicted([Sentence("1", "", (), "zh")] * 2, source="twice", system="tagger")
    with pytest.raises(NotInLanguage):
        suite.predicted([Sentence("9", "", (), "zh")], source="other", system="tagger")
    with pytest.raises(DataError, match="text is not that of 2"):
        read_sentences(file(tmp_path, [CMEEE, CMEEE], "other.jsonl"), texts=texts)


def test_a_dictionary_of_the_other_sentences_is_the_control():
    one, two = (Sentence(name, "He has asthma.", (Entity(7, 13, "dis"),), "en") for name in "ab")
    assert controls([one, two]) == {"dictionary of the other sentences": 1.0}
    assert controls([one]) == {"dictionary of the other sentences": 0.0}


def test_a_file_in_another_language_is_refused(tmp_path):
    with pytest.raises(NotInLanguage, match=r"set\.json holds no sentence in en"):
        Entities.of(Selection(language="en", data=str(file(tmp_path, [CMEEE]))))
