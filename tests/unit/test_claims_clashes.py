"""Clashes: what two texts contradict each other in, and what only looks so."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardmed.claims.clashes import against_question, clashes, clashes_within, read
from guardmed.resources import data_folder

KINDS = {"number", "dose", "unit", "negation", "side", "time"}
TEXT = st.text(
    alphabet=st.sampled_from("aB mg每日三次片不左前后0123456789.,/%-x°~½％ｍｇμ（），。 \n\tnotleft一半分之岁年月日¹⁄‰\u200b\ud83d\ude00é"), max_size=60
)


def kinds(claim: str, other: str) -> set[str]:
    return {clash.kind for clash in clashes(claim, other)}


@pytest.fixture(scope="module", params=["en", "zh"])
def pairs(request):
    text = (data_folder("calibration") / "claims" / f"clashes_{request.param}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.split("\n") if line]


class TestWrittenPairs:
    def test_rows_are_whole_and_no_two_alike(self, pairs):
        assert {row["kind"] for row in pairs} == KINDS | {"same"}
        assert len({row["id"] for row in pairs}) == len({(row["a"], row["b"]) for row in pairs}) == len(pairs)
        first = Counter(row["kind"] == "same" for row in pairs if row["part"] in ("dev", "held"))
        assert first == {True: 100, False: 100}

    def test_contradictions_are_told_apart(self, pairs):
        contradicting = [row for row in pairs if row["kind"] != "same"]
        missed = [row["id"] for row in contradicting if not clashes(row["a"], row["b"])]
        assert len(missed) <= 0.02 * len(contradicting), missed

    def test_and_in_the_other_direction(self, pairs):
        contradicting = [row for row in pairs if row["kind"] != "same"]
        missed = [row["id"] for row in contradicting if not clashes(row["b"], row["a"])]
        assert len(missed) <= 0.02 * len(contradicting), missed

    def test_what_says_the_same_does_not_clash(self, pairs):
        same = [row for row in pairs if row["kind"] == "same"]
        wrong = [row["id"] for row in same if clashes(row["a"], row["b"])]
        assert len(wrong) <= 0.02 * len(same), wrong

    def test_a_clash_is_mostly_called_what_it_is(self, pairs):
        found = [(row["kind"], clashes(row["a"], row["b"])) for row in pairs if row["kind"] != "same"]
        named = [any(clash.kind == kind for clash in hits) for kind, hits in found if hits]
        assert sum(named) >= 0.95 * len(named)


class TestKinds:
    @pytest.mark.parametrize(
        ("kind", "claim", "other"),
        [
            ("dose", "Amoxicillin is taken as 500 mg three times a day.", "Amoxicillin is taken as 1.5 g once."),
            ("dose", "Take amlodipine 5 mg daily.", "Take amlodipine 10 mg daily."),
            ("dose", "每天总量2克。", "每次500毫克，每日2次。"),
            ("dose", "二甲双胍每日最大剂量为2000 mg。", "The maximum daily dose of metformin is 3000 mg."),
            ("dose", "口服 metformin 500 mg bid。", "口服 metformin 1000 mg bid。"),
            ("unit", "Haemoglobin was 12 g/dL.", "Haemoglobin was 12 g/L."),
            ("unit", "Give adrenaline 0.5 mg.", "Give adrenaline 0.5 mcg."),
            ("negation", "Metformin is contraindicated in severe renal failure.", "Metformin can be used in severe renal failure."),
            ("negation", "妊娠期可以接种流感疫苗。", "妊娠期不可以接种流感疫苗。"),
            ("negation", "阿司匹林会升高出血风险。", "Aspirin lowers the risk of bleeding."),
            ("negation", "Vaccines cause autism.", "There is no evidence that vaccines cause autism."),
            ("side", "The pain started in the left calf.", "The pain began in his right calf."),
            ("side", "X线示双侧胸腔积液。", "X线示左侧胸腔积液。"),
            ("time", "布洛芬应饭后服用。", "布洛芬要空腹吃。"),
            ("time", "Thiamine is given before glucose.", "Glucose is given before thiamine."),
            ("time", "The operation was on 5 May 2020.", "The operation was on 6 May 2020."),
            ("time", "The clinic opens at 8 am.", "The clinic opens at 8 pm."),
            ("number", "INR should be above 3.", "INR should be below 3."),
            ("number", "HbA1c was 48 mmol/mol.", "HbA1c was 8.5%."),
        ],
    )
    def test_a_clash_and_its_kind(self, kind, claim, other):
        assert kinds(claim, other) == {kind}

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("Apply it twice a day.", "Apply it every 12 hours."),
            ("Apply it b.i.d.", "每日两次。"),
            ("Half a tablet of bisoprolol", "1/2 tablet of bisoprolol"),
            ("Take two 20 mg tablets of furosemide.", "Take furosemide 40 mg."),
            ("尿量二十毫升", "尿量20毫升"),
            ("占全部病例的一半", "占全部病例的50%"),
            ("HbA1c of 48 mmol/mol", "HbA1c of 6.5%"),
            ("Glucose of 7.0 mmol/L", "Glucose of 126 mg/dL"),
            ("血糖7.0 mmol/L", "血糖126 mg/dL"),
            ("Methotrexate 15 mg weekly.", "Methotrexate 15 mg once a week."),
            ("Take 1 g of paracetamol every 6 hours, not more than 4 g a day.", "Paracetamol 1 g four times daily."),
            ("Vaccinate every 4 weeks.", "Vaccinate monthly."),
            ("The visit is at 20:00.", "The visit is at 8 pm."),
            ("Aspirin is not unsafe.", "Aspirin is safe."),
            ("不是不能用。", "可以用。"),
            ("The stomach lies to the left of the liver.", "The liver lies to the right of the stomach."),
            ("Take calcium after levothyroxine.", "Levothyroxine is taken before calcium."),
            ("He is 65 years old.", "The 65-year-old man was admitted."),
            ("Adults get 10 mg and children 5 mg.", "In children the dose is 5 mg, in adults 10 mg."),
        ],
    )
    def test_the_same_in_other_words(self, one, other):
        assert clashes(one, other) == clashes(other, one) == ()

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("The loading dose of clopidogrel is 300 mg.", "The maintenance dose of clopidogrel is 75 mg."),
            ("Patients under 18 should not take aspirin.", "Patients over 18 may take aspirin."),
            ("Low potassium causes weakness.", "High potassium causes arrhythmia."),
            ("Sensitivity of the test is 95%.", "Specificity of the test is 75%."),
            ("Statins do not cause dementia.", "Statins cause muscle pain."),
            ("We examined whether statins cause dementia.", "Statins do not cause dementia."),
            ("Is aspirin safe in children?", "Aspirin is not safe in children."),
            ("Some patients have no pain.", "Most patients have severe pain."),
            ("维生素B12缺乏可致贫血。", "维生素B6缺乏可致皮炎。"),
            ("患者无发热。", "患者有咳嗽。"),
            ("非甾体抗炎药可止痛。", "甾体类药物可止痛。"),
        ],
    )
    def test_different_things_do_not_clash(self, one, other):
        assert clashes(one, other) == clashes(other, one) == ()


class TestPlaces:
    def test_spans_are_of_the_texts_as_given(self):
        claim, other = "  Ｔａｋｅ aspirin\u200b １００ ｍｇ daily.", "Good day. Take aspirin 300 mg daily. Bye."
        (clash,) = clashes(claim, other)
        assert clash.claim_span.of(claim) == "１００ ｍｇ"
        assert clash.other_span.of(other) == "300 mg"
        assert "300 mg" in clash.told

    def test_a_denial_is_where_it_stands(self):
        claim, other = "Isotretinoin is not safe in pregnancy.", "Isotretinoin is safe in pregnancy."
        (clash,) = clashes(claim, other)
        assert (clash.claim_span.of(claim), clash.other_span.of(other)) == ("not", "safe")

    def test_the_sentence_that_speaks_of_the_same_thing_is_meant(self):
        other = "Ibuprofen 400 mg relieves pain. Paracetamol is taken as 500 mg every 6 hours. Drink 2 litres a day."
        (clash,) = clashes("Paracetamol is taken as 800 mg every 6 hours.", other)
        assert clash.other_span.of(other) == "500 mg"

    def test_a_text_that_also_agrees_does_not_clash(self):
        other = "Some say that paracetamol is taken as 500 mg every 6 hours. Paracetamol is taken as 1 g every 6 hours."
        assert clashes("Paracetamol is taken as 1 g every 6 hours.", other) == ()

    def test_a_text_read_once_serves_many_claims(self):
        other = read("Aspirin raises the risk of bleeding. The spleen lies on the left.")
        claims = ("Aspirin lowers the risk of bleeding.", "The spleen lies on the right.", "Aspirin is old.")
        assert [len(clashes(claim, other)) for claim in claims] == [1, 1, 0]


class TestLaws:
    @given(TEXT, TEXT)
    def test_no_text_breaks_it(self, one, other):
        for clash in clashes(one, other):
            assert clash.kind in KINDS
            assert 0 <= clash.claim_span.start <= clash.claim_span.end <= len(one)
            assert 0 <= clash.other_span.start <= clash.other_span.end <= len(other)

    @given(TEXT.filter(lambda text: not set(text) & set("\n。.")))
    def test_a_sentence_does_not_contradict_itself(self, text):
        assert clashes(text, text) == ()

    @given(st.integers(1, 5000))
    def test_units_convert(self, milligrams):
        grams = f"Take {milligrams / 1000:.3f} g of amoxicillin at night."
        for other in (f"Take {milligrams} mg of amoxicillin at night.", f"Take {milligrams * 1000:,} micrograms of amoxicillin at night."):
            assert clashes(grams, other) == ()

    @given(st.integers(1, 400), st.integers(1, 400))
    def test_a_number_clashes_with_every_other_number(self, one, other):
        found = clashes(f"Give {one} mg of pethidine.", f"Give {other} mg of pethidine.")
        assert bool(found) == (one != other)

    @given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 120))
    def test_a_range_holds_what_lies_in_it(self, low, width, value):
        found = clashes(f"The dose of digoxin is {low}-{low + width} mg.", f"The dose of digoxin is {value} mg.")
        assert bool(found) == (not low <= value <= low + width)

    @given(st.integers(2, 99))
    def test_numbers_in_chinese_and_in_digits(self, number):
        tens, ones = divmod(number, 10)
        digits = "零一二三四五六七八九"
        words = (digits[tens] if tens > 1 else "") + ("十" if tens else "") + (digits[ones] if ones else "")
        assert clashes(f"输液{words}毫升。", f"输液{number}毫升。") == ()
        assert clashes(f"输液{words}毫升。", f"输液{number + 1}毫升。") != ()

    @given(st.sampled_from([1, 2, 3, 4, 6, 8, 12]), st.sampled_from([1, 2, 3, 4, 6, 8, 12]))
    def test_so_many_times_a_day_are_so_many_hours_apart(self, times, other):
        found = clashes(f"Inhale salbutamol {times} times a day.", f"Inhale salbutamol every {24 // other} hours.")
        assert bool(found) == (times != other)

    @given(st.integers(0, 4))
    def test_every_second_denial_undoes_the_first(self, count):
        said = "It is " + "not " * count + "harmful."
        assert bool(clashes(said, "It is harmful.")) == (count % 2 == 1)

    def test_a_long_text_is_read_in_time(self):
        filler = "The ward is open to visitors on most days of the week. " * 3000
        (clash,) = clashes("Aspirin raises the risk of bleeding.", filler + "Aspirin lowers the risk of bleeding.")
        assert clash.other_span.end == len(filler) + len("Aspirin lowers")


class TestWithin:
    def test_pairs_of_claims(self):
        claims = ["Aspirin raises the risk of bleeding.", "Paracetamol is safe in pregnancy.", "Aspirin lowers the risk of bleeding.", "Drink water."]
        found = clashes_within(claims)
        assert [(first, second, clash.kind) for first, second, clash in found] == [(0, 2, "negation")]
        assert found[0][2].claim_span.of(claims[0]) == "raises"

    @pytest.mark.parametrize("claims", [[], [""], ["Take 5 mg.", "Take 5 mg."], ["In adults the dose is 10 mg.", "In children the dose is 5 mg."]])
    def test_nothing_to_tell(self, claims):
        assert clashes_within(claims) == ()


class TestQuestion:
    @pytest.mark.parametrize(
        ("kind", "claim", "question"),
        [
            ("number", "As a 70-year-old man, you should have a scan.", "I am a 45-year-old man with chest pain."),
            ("number", "您今年70岁，应注意骨折。", "我妈妈58岁，膝盖疼怎么办？"),
            ("negation", "As a woman, you have a lower risk.", "I'm a 60-year-old man. What is my risk?"),
            ("negation", "该男性患者需手术。", "患者，女性，45岁，胆囊结石，怎么办？"),
            ("negation", "Since you are not pregnant, ibuprofen is fine.", "I'm 20 weeks pregnant. Can I take ibuprofen?"),
            ("negation", "由于您没有怀孕，可以服用布洛芬。", "我怀孕20周了，头痛能吃布洛芬吗？"),
            ("negation", "As you have no known allergies, take amoxicillin.", "I'm allergic to penicillin. What can I take?"),
            ("negation", "您对青霉素不过敏。", "我对青霉素过敏，嗓子疼吃什么药？"),
            ("side", "Your right knee needs rest.", "My left knee hurts. What should I do?"),
            ("side", "您的右膝需要休息。", "我左膝疼痛一周，怎么办？"),
            ("dose", "You currently take metformin 1000 mg twice a day.", "I take metformin 500 mg twice a day, can I drink alcohol?"),
            ("dose", "您目前每天服用二甲双胍2000毫克。", "我每天吃二甲双胍1000毫克，血糖还高怎么办？"),
        ],
    )
    def test_a_claim_against_what_the_question_states(self, kind, claim, question):
        (clash,) = against_question(claim, question)
        assert clash.kind == kind
        assert clash.claim_span.of(claim) in clash.told
        assert clash.other_span.of(question) in clash.told

    @pytest.mark.parametrize(
        ("claim", "question"),
        [
            ("At 45 years old, you should have a scan.", "I am a 45-year-old man with chest pain."),
            ("Men over 65 should be screened.", "I am a 45-year-old man."),
            ("Examine the right knee for comparison.", "My left knee hurts."),
            ("Metformin can be raised to 1000 mg twice a day.", "I take metformin 500 mg twice a day."),
            ("You currently take metformin 0.5 g b.i.d.", "I take metformin 500 mg twice a day."),
            ("18岁以上成人可以服用。", "孩子8岁可以吃吗？"),
            ("Women get it more often than men.", "I'm a 60-year-old man."),
            ("Take your daughter, who is 3 years old, to a doctor.", "I am 34 years old and my daughter is 3 years old."),
            ("", ""),
        ],
    )
    def test_what_it_does_not_state_is_free(self, claim, question):
        assert against_question(claim, question) == ()

    @given(TEXT, TEXT)
    def test_no_question_breaks_it(self, claim, question):
        assert all(clash.kind in KINDS for clash in against_question(claim, question))


class TestRealText:
    def test_what_people_called_accurate_clashes_seldom(self, shared_data):
        rows = [json.loads(line) for line in (shared_data / "claims" / "selfcheck_wikibio_en.jsonl").read_text(encoding="utf-8").split("\n") if line]
        counts: Counter[tuple[bool, bool]] = Counter()
        for row in rows[::3]:
            samples = [read(sample) for sample in row["samples"]]
            for claim, label in zip(row["claims"], row["labels"], strict=True):
                reading = read(claim)
                counts.update((label == "accurate", bool(clashes(reading, sample))) for sample in samples)
        accurate = counts[True, True] / (counts[True, True] + counts[True, False])
        others = counts[False, True] / (counts[False, True] + counts[False, False])
        assert accurate <= 0.03
        assert accurate < others

    def test_conclusions_clash_seldom_with_their_abstracts(self, shared_data):
        lines = (shared_data / "calibration" / "pubmedqa_labelled_en.jsonl").read_text(encoding="utf-8").split("\n")
        rows = [json.loads(line) for line in lines[300:500] if line]
        assert sum(bool(clashes(row["long_answer"], row["context"])) for row in rows) <= 0.05 * len(rows)

    def test_answers_of_doctors_contradict_no_question(self, shared_data):
        lines = (shared_data / "prompts" / "patient_questions_zh.jsonl").read_text(encoding="utf-8").split("\n")
        rows = [json.loads(line) for line in lines if line]
        assert sum(bool(against_question(row["reference_answer"], row["prompt"])) for row in rows) <= 0.01 * len(rows)
