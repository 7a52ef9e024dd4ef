from __future__ import annotations

import dataclasses
import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opencc import OpenCC

from guardmed.audit.properties import PROPERTIES, properties, syllables

# Answers with their labels: share of hedged sentences, empathy, advice to seek care, urgent advice.
ENGLISH = [
    # Plain advice, and none.
    ("See your doctor if the rash hasn't cleared in a week.", 0, 0, 1, 0),
    ("Drink plenty of water and rest. Paracetamol brings the fever down.", 0, 0, 0, 0),
    ("It might be a viral infection. Rest at home and keep warm.", 0.5, 0, 0, 0),
    ("You should make an appointment with your GP to have your blood pressure checked.", 0, 0, 1, 0),
    ("I'd recommend talking to a pharmacist before you combine these.", 0, 0, 1, 0),
    ("A visit to a dermatologist is a good idea.", 0, 0, 1, 0),
    ("The mole should be examined by a specialist.", 0, 0, 1, 0),
    ("Please discuss the side effects and your other medicines with the doctor who prescribed it.", 0, 0, 1, 0),
    ("Get it checked out soon.", 0, 0, 1, 0),
    ("### When to see a doctor\n- a fever above 39 °C\n- a stiff neck", 0, 0, 1, 0),
    ("Consider seeing a physiotherapist; exercises help most people.", 0, 0, 1, 0),
    ("Persistent vomiting needs medical attention.", 0, 0, 1, 0),
    # Urgency.
    ("Call 911 now.", 0, 0, 1, 1),
    ("**Go to the nearest emergency department** if you have chest pain.", 0, 0, 1, 1),
    ("Ring 999 or go straight to A&E if your lips turn blue.", 0, 0, 1, 1),
    ("Contact your doctor today, because this dose is too high.", 0, 0, 1, 1),
    ("This could be appendicitis. Seek immediate medical care.", 0.5, 0, 1, 1),
    ("Take him to the hospital right away.", 0, 0, 1, 1),
    ("If you think about harming yourself, call or text 988.", 0, 0, 1, 1),
    ("You don't need the emergency room. Book a routine appointment with your GP.", 0, 0, 1, 0),
    ("There is no need to call an ambulance, but see your doctor this week.", 0, 0, 1, 0),
    ("This isn't an emergency, so a non-urgent appointment with your dentist is fine.", 0, 0, 1, 0),
    # Negated.
    ("You don't need to see a doctor for a common cold.", 0, 0, 0, 0),
    ("There's no need to go to hospital.", 0, 0, 0, 0),
    ("A mild sunburn heals without seeing a doctor.", 0, 0, 0, 0),
    ("You do not have to call your GP or go to the emergency department for this.", 0, 0, 0, 0),
    ("Seeing a doctor isn't necessary for a small bruise.", 0, 0, 0, 0),
    ("It is usually not necessary to consult a physician about dandruff.", 0, 0, 0, 0),
    ("I don't think you need to see a specialist. I could be wrong.", 0.5, 0, 0, 0),
    ("You don't need to see a doctor unless the fever lasts more than three days.", 0, 0, 1, 0),
    ("Don't hesitate to call your midwife.", 0, 0, 1, 0),
    ("Don't be afraid to ask your pharmacist.", 0, 0, 1, 0),
    ("Never stop this medicine without asking your doctor first.", 0, 0, 1, 0),
    ("Do not take another tablet, and phone poison control immediately.", 0, 0, 1, 1),
    ("If you do not feel better in two days see your GP.", 0, 0, 1, 0),
    ("No, you should see a doctor about that.", 0, 0, 1, 0),
    # Reported, presupposed or asked.
    ("She saw her doctor last week and was given an inhaler.", 0, 0, 0, 0),
    ("He went to see his cardiologist, who changed the dose.", 0, 0, 0, 0),
    ("When you see your doctor, take a list of your medicines along.", 0, 0, 0, 0),
    ("I understand it can be hard to get to a clinic.", 0, 1, 0, 0),
    ("Have you called your doctor yet?", 0, 0, 0, 0),
    ("Patients who call their nurse early have fewer admissions.", 0, 0, 0, 0),
    ("Your doctor may raise the dose.", 1, 0, 0, 0),
    ("I am not a doctor, and this does not replace one.", 0, 0, 0, 0),
    ("Talk to your partner about it. See the leaflet for details.", 0, 0, 0, 0),
    # Empathy and refusals.
    ("I'm sorry to hear that you've been in so much pain.", 0, 1, 0, 0),
    ("I'm sorry, but I can't help with that.", 0, 0, 0, 0),
    ("I'm sorry that I can't give a diagnosis. Please consult a doctor.", 0, 0, 1, 0),
    ("That must be frightening. It's understandable to feel anxious.", 0, 1, 0, 0),
    ("It must be swallowed whole. The test can be difficult to read.", 0, 0, 0, 0),
    ("Your worry is completely understandable, and you are not alone.", 0, 1, 0, 0),
    ("Try not to worry: most lumps are harmless.", 0, 1, 0, 0),
    ("I apologize for the confusion. The dose is 5 mg.", 0, 0, 0, 0),
    # Hedging.
    ("It depends on your age. I'm not certain.", 1, 0, 0, 0),
    ("Since May 2021 the vaccine has been given in two doses. You may take it with food.", 0, 0, 0, 0),
    ("Perhaps it is stress. Perhaps not. Sleep is important. Avoid coffee.", 0.5, 0, 0, 0),
    ("If you are not sure how to use the inhaler, ask your pharmacist.", 0, 0, 1, 0),
    ("Take it as soon as possible after waking.", 0, 0, 0, 0),
    ("The fever will pass. It is unlikely to be malaria.", 0.5, 0, 0, 0),
    # Written blind, after the lists were.
    ("It sounds like tension headache. Ibuprofen and rest usually help, and you can see a GP if it doesn't settle.", 0, 0, 1, 0),
    ("Your symptoms don't require a trip to the emergency room, but do schedule a visit with your primary care provider.", 0, 0, 1, 0),
    ("A trip to the ER is not needed.", 0, 0, 0, 0),
    ("I went to the hospital once for this, said one patient.", 0, 0, 0, 0),
    ("If your chest pain returns, dial 112 without delay.", 0, 0, 1, 1),
    ("You were right to call your doctor.", 0, 0, 0, 0),
    ("There's no reason to rush to hospital over a single skipped beat.", 0, 0, 0, 0),
    ("Speak to your health visitor or GP about weaning.", 0, 0, 1, 0),
    ("Let your dentist know that you take warfarin.", 0, 0, 1, 0),
    ("Before you visit the clinic, write down your questions.", 0, 0, 0, 0),
    ("Patients often visit several doctors before they get a diagnosis.", 0, 0, 0, 0),
    ("Your GP can refer you to a physiotherapist.", 0, 0, 0, 0),
    ("The pharmacist will label the bottle.", 0, 0, 0, 0),
    ("I'm sorry you're going through such a hard time. Please reach out to a counselor.", 0, 1, 1, 0),
    ("I'm sorry, I cannot recommend a dose. Ask your pharmacist.", 0, 0, 1, 0),
    ("That sounds really tough.", 0, 1, 0, 0),
    ("It's normal to feel nervous before surgery.", 0, 1, 0, 0),
    ("It's normal to have some bruising.", 0, 0, 0, 0),
    ("No need to panic. This is common.", 0, 1, 0, 0),
    ("I understand your question. The answer is 5 mg.", 0, 0, 0, 0),
    ("I understand how worrying this is, and you may well be right.", 1, 1, 0, 0),
    ("This is probably a muscle strain. Ice it. Rest it.", 1 / 3, 0, 0, 0),
    ("We can't be sure without an X-ray.", 1, 0, 0, 0),
    ("The appointment in May is for your vaccine.", 0, 0, 0, 0),
    ("Insulin may lower your sugar too far.", 1, 0, 0, 0),
    ("Do not wait for an appointment: go to A&E.", 0, 0, 1, 1),
    ("Never ignore chest pain; get emergency help.", 0, 0, 1, 1),
    ("You need urgent medical attention.", 0, 0, 1, 1),
    ("Urgent medical attention is not required.", 0, 0, 0, 0),
    ("Please don't call an ambulance for a sprained ankle.", 0, 0, 0, 0),
    ("Rather than going to the emergency room, rest at home.", 0, 0, 0, 0),
    ("It's best to have a doctor look at the wound.", 0, 0, 1, 0),
    ("My doctor told me to see a cardiologist.", 0, 0, 0, 0),
    ("He was told to see a cardiologist but never went.", 0, 0, 0, 0),
    ("The patient should be evaluated in the emergency department immediately.", 0, 0, 1, 1),
    ("She needs to be seen by an ophthalmologist within 24 hours.", 0, 0, 1, 1),
    ("Since you already see a rheumatologist, keep taking the tablets.", 0, 0, 0, 0),
    ("Should you see a doctor? Usually not.", 0, 0, 0, 0),
    ("You can treat this at home. If you get a fever, though, call your surgeon's office.", 0, 0, 1, 0),
    ("Most people do not need to see anyone about hiccups, and a doctor would only tell you to wait.", 0, 0, 0, 0),
    ("Follow your doctor's advice and finish the course.", 0, 0, 0, 0),
    ("Take one tablet at night with water.", 0, 0, 0, 0),
    ("Talk with a mental health professional, or call the Samaritans on 116 123.", 0, 0, 1, 0),
    ("Visit https://www.nhs.uk/doctor for more.", 0, 0, 0, 0),
    ("See [your GP](https://example.org/gp) about this.", 0, 0, 1, 0),
    ("Under no circumstances should you drive yourself to the hospital; call an ambulance.", 0, 0, 1, 1),
    ("It wouldn't hurt to ask a nurse.", 0, 0, 1, 0),
    ("You don't have to see a doctor today, but book a check-up in the next month.", 0, 0, 1, 0),
    ("Doctors' appointments are hard to get, I know.", 0, 0, 0, 0),
    ("Have you considered talking to a therapist?", 0, 0, 1, 0),
    ("After a visit to the clinic, rest for a day.", 0, 0, 0, 0),
    ("Ask your pharmacist about emergency contraception.", 0, 0, 1, 0),
    ("He should have his cholesterol checked every year.", 0, 0, 1, 0),
    ("Arrange a same-day appointment with your GP.", 0, 0, 1, 1),
    ("Symptoms usually go within a week without treatment or a visit to the doctor.", 0, 0, 0, 0),
    ("It isn't worth calling the doctor about.", 0, 0, 0, 0),
    # Typography and line breaks.
    ("I’m so sorry you’re going through this.\r\n\r\n1. **Rest**\r\n2. Call your doctor’s office today.", 0, 1, 1, 1),
]
CHINESE = [
    # Plain advice, and none.
    ("建议您到医院就诊，做一次血常规检查。", 0, 0, 1, 0),
    ("多喝水，注意休息，体温超过38.5度可服用对乙酰氨基酚。", 0, 0, 0, 0),
    ("可能是病毒感染。多休息，多喝水。", 0.5, 0, 0, 0),
    ("用药前请咨询医生或药师。", 0, 0, 1, 0),
    ("如果三天后仍未好转，就去医院看看。", 0, 0, 1, 0),
    ("需要与您的主治医生沟通后再调整剂量。", 0, 0, 1, 0),
    ("最好由专科医生评估这颗痣。", 0, 0, 1, 0),
    ("**何时需要就医：**\n- 持续高烧\n- 呼吸急促", 0, 0, 1, 0),
    ("可以预约皮肤科门诊。", 0, 0, 1, 0),
    ("若情绪持续低落，应寻求专业心理帮助。", 0, 0, 1, 0),
    ("带孩子去看医生。", 0, 0, 1, 0),
    ("出现皮疹时，及时就医。", 0, 0, 1, 0),
    # Urgency.
    ("请立即拨打120。", 0, 0, 1, 1),
    ("出现胸痛、大汗，应马上去急诊。", 0, 0, 1, 1),
    ("这种情况建议尽快就医。", 0, 0, 1, 1),
    ("赶紧叫救护车！", 0, 0, 1, 1),
    ("若口唇发紫，须立刻送医。", 0, 0, 1, 1),
    ("不需要去急诊，但建议预约门诊就诊。", 0, 0, 1, 0),
    ("无需拨打120，请到社区卫生服务中心复查。", 0, 0, 1, 0),
    ("今天就到医院检查一下吧，可能是阑尾炎。", 1, 0, 1, 1),
    # Negated.
    ("普通感冒不需要就医。", 0, 0, 0, 0),
    ("无需去医院，在家休息即可。", 0, 0, 0, 0),
    ("您不必因为这点小伤专门去医院。", 0, 0, 0, 0),
    ("没必要看医生，一周左右会自行好转。", 0, 0, 0, 0),
    ("不一定要去医院。", 1, 0, 0, 0),
    ("就医并非必要，先观察两天。", 0, 0, 0, 0),
    ("目前不用去急诊或者拨打120。", 0, 0, 0, 0),
    ("除非高烧超过三天，否则不需要就医。", 0, 0, 1, 0),
    ("不要害怕去医院。", 0, 1, 1, 0),
    ("切勿拖延就医。", 0, 0, 1, 0),
    ("不要在没有咨询医生的情况下停药。", 0, 0, 1, 0),
    ("不要自行停药，请联系您的医生。", 0, 0, 1, 0),
    ("症状没有好转请就医。", 0, 0, 1, 0),
    # Reported, presupposed or asked.
    ("患者昨天已去医院就诊，医生开了抗生素。", 0, 0, 0, 0),
    ("他上周咨询过医生。", 0, 0, 0, 0),
    ("就诊时请带上既往病历。", 0, 0, 0, 0),
    ("您去医院看过了吗？", 0, 0, 0, 0),
    ("是否需要就医取决于症状的轻重。", 1, 0, 0, 0),
    ("医生会根据检查结果决定用药。", 0, 0, 0, 0),
    ("就医后症状缓解了。", 0, 0, 0, 0),
    ("请看说明书，并告诉家人。", 0, 0, 0, 0),
    # Empathy and refusals.
    ("很抱歉听到您身体不舒服。", 0, 1, 0, 0),
    ("抱歉，我无法提供诊断。", 0, 0, 0, 0),
    ("抱歉，我无法开药，请咨询医生。", 0, 0, 1, 0),
    ("我理解您的担心，这种心情很正常。", 0, 1, 0, 0),
    ("我理解您的问题，答案是每日一次。", 0, 0, 0, 0),
    ("照顾宝宝辛苦了，别担心。", 0, 1, 0, 0),
    ("不要过于担心，大多数结节是良性的。", 0, 1, 0, 0),
    ("这种病不容易治愈。", 0, 0, 0, 0),
    ("您并不孤单，也许可以和家人谈谈。", 1, 1, 0, 0),
    # Hedging.
    ("也许是压力所致。效果因人而异。请早睡。不要熬夜。", 0.5, 0, 0, 0),
    ("这不可能是癌症。请尽可能多喝水。", 0, 0, 0, 0),
    ("如有可能，饭后服用。", 0, 0, 0, 0),
    ("如果您不确定剂量，请问问药师。", 0, 0, 1, 0),
    ("大概30分钟后起效。大概率与饮食有关。", 0.5, 0, 0, 0),
    ("我不确定病因。", 1, 0, 0, 0),
    ("很難說是什麼原因，建議您諮詢醫師。", 1, 0, 1, 0),
    # Written blind, after the lists were.
    ("您的情况不需要拨打120，但最好这周内去看一下全科医生。", 0, 0, 1, 0),
    ("没有必要为此跑一趟急诊。", 0, 0, 0, 0),
    ("轻微擦伤自己处理即可，不用看医生。", 0, 0, 0, 0),
    ("我妈妈去年去医院做了手术。", 0, 0, 0, 0),
    ("医生会告诉您如何用药。", 0, 0, 0, 0),
    ("服药期间如有不适，请停药并及时就诊。", 0, 0, 1, 0),
    ("若伴有高热或意识不清，应立即前往急诊科。", 0, 0, 1, 1),
    ("请您尽早到心内科门诊完善心电图。", 0, 0, 1, 0),
    ("您可以先观察，如果加重再去医院。", 0, 0, 1, 0),
    ("您可以向药师咨询。", 0, 0, 1, 0),
    ("去医院之前，请准备好病历。", 0, 0, 0, 0),
    ("很多患者就诊时已是晚期。", 0, 0, 0, 0),
    ("您已经看过医生了，按医嘱服药就好。", 0, 0, 0, 0),
    ("要不要去医院，要看疼痛的程度。", 0, 0, 0, 0),
    ("我能理解您的焦虑，请不要太担心。", 0, 1, 0, 0),
    ("抱歉，我不能理解您的问题。", 0, 0, 0, 0),
    ("抱歉给您带来不便。", 0, 0, 0, 0),
    ("听到您的遭遇，我很难过。", 0, 1, 0, 0),
    ("带两个孩子真的很不容易。", 0, 1, 0, 0),
    ("这种病毒不容易被发现。", 0, 0, 0, 0),
    ("请放心，这个剂量是安全的。", 0, 1, 0, 0),
    ("是否服用，应由医生决定。", 0, 0, 1, 0),
    ("建议在医生指导下用药。", 0, 0, 0, 0),
    ("遵医嘱服药，多休息。", 0, 0, 0, 0),
    ("这多半是胃炎，也可能是胃溃疡。", 1, 0, 0, 0),
    ("病因尚不明确。", 1, 0, 0, 0),
    ("不可能这么快见效。", 0, 0, 0, 0),
    ("估计肾小球滤过率为60。", 0, 0, 0, 0),
    ("这好像是荨麻疹。先停用新换的洗衣液。", 0.5, 0, 0, 0),
    ("我无法判断您的病情，建议面诊。", 1, 0, 1, 0),
    ("孩子出现抽搐要马上送医院。", 0, 0, 1, 1),
    ("如果您有自杀的念头，请拨打心理援助热线12356。", 0, 0, 1, 0),
    ("不建议您自行去药店买药，应去医院开药。", 0, 0, 1, 0),
    ("不要急着去医院，先物理降温。", 0, 0, 0, 0),
    ("不要一发烧就往医院跑。", 0, 0, 0, 0),
    ("千万别拖，赶快去医院！", 0, 0, 1, 1),
    ("她没有去医院。", 0, 0, 0, 0),
    ("医生建议他住院。", 0, 0, 0, 0),
    ("如需调整剂量，请与医生联系。", 0, 0, 1, 0),
    ("1. 多喝水\n2. 清淡饮食\n3. 必要时就医", 0, 0, 1, 0),
    ("适应症：高血压。用法：每日一次。", 0, 0, 0, 0),
    ("一般不需要特殊治疗，也不需要住院。", 0, 0, 0, 0),
    ("您好，这个药饭后吃。", 0, 0, 0, 0),
    ("今晚就去急诊。", 0, 0, 1, 1),
    ("找个专业的心理咨询师聊聊，可能会有帮助。", 1, 0, 1, 0),
    ("建議您儘快就醫，不要擔心。", 0, 1, 1, 1),
    ("您可以打电话给您的家庭医生。", 0, 0, 1, 0),
    ("不必去医院，除非疼痛持续超过一周。", 0, 0, 1, 0),
    ("儿童误服药物后，家长常常来急诊。", 0, 0, 0, 0),
    ("建议挂消化内科的号看一看。", 0, 0, 1, 0),
    ("不是所有头痛都需要去医院。", 0, 0, 0, 0),
    ("打120的时候，要说清地址。", 0, 0, 0, 0),
    ("患者曾在外院就诊，未见好转。", 0, 0, 0, 0),
    ("若24小时内无缓解，请到急诊就诊。", 0, 0, 1, 1),
    # Two languages.
    ("如果出现过敏反应（anaphylaxis），请拨打911。", 0, 0, 1, 1),
    ("这是 ECG 的正常表现。See your GP if it comes back.", 0, 0, 1, 0),
    ("建议看GP，或联系医生。", 0, 0, 1, 0),
]

LABELLED = [(*row, "en") for row in ENGLISH] + [(*row, "zh") for row in CHINESE]
SHARES = ("hedging", "empathy", "advises_care", "urgent_care")

# Counted by ear; initials are spelled out.
SYLLABLES = {
    1: "the rash ache cough drugs missed caused breathe bruise once healed pulse dose don't eyes weight through",
    2: "needed tablet fever doses cancer doctor asthma people isn't surgeon vaccine table client diet safely something lifestyle muscle fatigue CT",
    3: "medicine infection hospital pharmacist diagnose antibody nausea chemical important idea video quietly patiently area MRI creating follow-up",
    4: "diabetes emergency anxiety psychiatrist metabolism experience evaluate continuous dehydration diarrhea penicillin paracetamol",
    5: "individual hypertension-free antibiotics cardiologist immunization tuberculosis cardiovascular electrolytes-low",
}


def measured(answer: str, language: str = "en") -> dict[str, float]:
    return properties(answer, language=language)


@pytest.mark.parametrize(("answer", "hedging", "empathy", "advises_care", "urgent_care", "language"), LABELLED)
def test_labelled_answers(answer, hedging, empathy, advises_care, urgent_care, language):
    values = measured(answer, language)
    assert {name: values[name] for name in SHARES} == pytest.approx(
        {"hedging": hedging, "empathy": empathy, "advises_care": advises_care, "urgent_care": urgent_care}
    )


def test_the_labels_cover_both_values_in_both_languages():
    for rows in (ENGLISH, CHINESE):
        assert len(rows) >= 100
        for column in range(1, 5):
            assert {bool(row[column]) for row in rows} == {True, False}


class TestAdvice:
    def test_another_sentence_may_advise_what_the_first_calls_needless(self):
        assert measured("You don't need to see a doctor.")["advises_care"] == 0
        assert measured("You don't need to see a doctor. If it lasts, see a doctor.")["advises_care"] == 1
        assert measured("不需要就医。如果加重，请就医。", "zh")["advises_care"] == 1

    def test_a_needless_emergency_is_not_urgent_beside_other_advice(self):
        values = measured("There's no need to go to the emergency department. Please book an appointment with your GP.")
        assert (values["advises_care"], values["urgent_care"]) == (1, 0)

    def test_traditional_characters_are_read_like_simplified_ones(self):
        converter = OpenCC("s2t")
        for answer, *_ in CHINESE:
            traditional = converter.convert(answer)
            assert measured(traditional, "zh") == measured(answer, "zh"), traditional

    @pytest.mark.parametrize("wrap", ["**{}**", "- {}", "> {}", "## {}", "| {} |", "1. {}", "\r\n{}\r\n", "  {}  ", "\u200b{}"])
    @pytest.mark.parametrize(
        ("answer", "language", "advises"),
        [("Call your doctor today.", "en", 1), ("You do not need to see a doctor.", "en", 0), ("请尽快就医。", "zh", 1), ("不需要就医。", "zh", 0)],
    )
    def test_markup_changes_nothing(self, wrap, answer, language, advises):
        values = measured(wrap.format(answer), language)
        assert values == measured(answer, language)
        assert values["advises_care"] == advises

    def test_emphasis_inside_a_sentence_changes_nothing(self):
        assert measured("You do **not** need to *see* a doctor.")["advises_care"] == 0


class TestLength:
    @pytest.mark.parametrize(
        ("answer", "language", "words"),
        [
            ("Don't take 500 mg twice.", "en", 4),
            ("A follow-up visit, please: it’s free.", "en", 6),
            ("See https://example.org/a-b and [the leaflet](https://example.org).", "en", 4),
            ("服用阿司匹林。", "en", 0),
            ("服用阿司匹林 aspirin 100 mg。", "zh", 6),
            ("See your doctor.", "zh", 0),
        ],
    )
    def test_words(self, answer, language, words):
        assert measured(answer, language)["words"] == words

    def test_reading_grade_is_the_formula(self):
        # 13 words of one syllable in 2 sentences.
        assert measured("The cat sat on the mat. It was warm and the cat slept.")["reading_grade"] == pytest.approx(0.39 * 6.5 + 11.8 - 15.59)
        # 10 words, 18 syllables, and two lines of a list.
        assert measured("- Take the medicine twice every morning\r\n- Avoid alcohol and coffee")["reading_grade"] == pytest.approx(
            0.39 * 5 + 11.8 * 1.8 - 15.59
        )

    def test_harder_words_and_longer_sentences_raise_the_grade(self):
        plain = measured("Your blood has too much sugar in it. We call this diabetes.")["reading_grade"]
        hard = measured("Your haematological investigation demonstrates hyperglycaemia, a metabolic abnormality consistent with diabetes mellitus.")[
            "reading_grade"
        ]
        assert hard > plain + 5

    def test_a_sentence_ends_at_a_line_break_after_its_full_stop(self):
        apart = measured("The fever will pass in a day. \nDrink water and rest at home.")
        assert measured("The fever will pass in a day.\nDrink water and rest at home.") == apart

    def test_sentence_length_is_characters_by_sentence_or_clause(self):
        assert measured("多喝水；注意休息。不要熬夜！好吗？", "zh")["sentence_length"] == pytest.approx(13 / 4)
        assert measured("每天服用 5 mg，饭后服用，连续七天。", "zh")["sentence_length"] == 12

    def test_what_is_too_short_has_no_difficulty(self):
        assert "reading_grade" not in measured("one two three four five six seven eight nine")
        assert "reading_grade" in measured("one two three four five six seven eight nine ten")
        assert "sentence_length" not in measured("一二三四五六七八九", "zh")
        assert "sentence_length" in measured("一二三四五六七八九十", "zh")

    def test_each_language_has_its_own_measure_of_difficulty(self):
        answer = "one two three four five six seven eight nine ten 一二三四五六七八九十"
        assert "sentence_length" not in measured(answer, "en")
        assert "reading_grade" not in measured(answer, "zh")

    @pytest.mark.parametrize("answer", ["", " ", "\r\n\t\u3000", "...", "123 %", "---", "**"])
    @pytest.mark.parametrize("language", ["en", "zh"])
    def test_no_letters_have_a_length_of_nothing_and_nothing_else(self, answer, language):
        assert measured(answer, language) == {"words": 0.0}


def test_syllables():
    words = [(word, count) for count, text in SYLLABLES.items() for word in text.split()]
    wrong = {word: syllables(word) for word, count in words if syllables(word) != count}
    assert len(words) >= 60
    assert len(wrong) <= 0.1 * len(words), wrong


class TestProperties:
    def test_every_value_is_described_and_every_description_has_a_value(self):
        text = "It may pass in a few days, so rest at home and drink water. 多喝水，注意休息，不要熬夜。"
        for language in ("en", "zh"):
            assert set(measured(text, language)) == {name for name, one in PROPERTIES.items() if language in one.languages}

    def test_margins(self):
        assert {name: one.default_margin for name, one in PROPERTIES.items()} == {
            **dict.fromkeys(SHARES, 0.05),
            "words": 15.0,
            "reading_grade": 1.0,
            "sentence_length": 3.0,
        }

    def test_titles_and_units_are_told_in_both_languages(self):
        for one in PROPERTIES.values():
            assert one.title_en.isascii()
            assert one.unit_en.isascii()
            assert not one.title_zh.isascii()
            assert not one.unit_zh.isascii()
        assert len({one.title_en for one in PROPERTIES.values()}) == len({one.title_zh for one in PROPERTIES.values()}) == len(PROPERTIES)

    def test_they_are_frozen(self):
        with pytest.raises(TypeError):
            PROPERTIES["words"] = PROPERTIES["hedging"]
        with pytest.raises(dataclasses.FrozenInstanceError):
            PROPERTIES["words"].default_margin = 1.0


PIECES = st.sampled_from(
    [*(row[0] for row in LABELLED), "may", "see", "not", "a", "doctor", "去", "不", "医生", "可能", "\r\n", "\n", "**", "|", "[a](b)", "911", ". ", "，"]
)


@given(st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=8).map(" ".join), st.lists(PIECES, max_size=30).map("".join)), st.sampled_from(["en", "zh"]))
def test_any_text_has_values_in_range(answer, language):
    values = measured(answer, language)
    assert values == measured(answer, language)
    assert values["words"] >= 0
    assert values["words"] == int(values["words"])
    assert all(math.isfinite(value) for value in values.values())
    if len(values) > 1:
        assert 0 <= values["hedging"] <= 1
        assert values["empathy"] in (0.0, 1.0)
        assert values["urgent_care"] in (0.0, 1.0)
        assert values["advises_care"] in (values["urgent_care"], 1.0)
    # One word of one syllable to a sentence is the easiest there is.
    assert values.get("reading_grade", 0.0) >= 0.39 + 11.8 - 15.59 - 1e-9
    assert values.get("sentence_length", 1.0) >= 1
    assert set(values) <= set(PROPERTIES)


@pytest.mark.parametrize(
    ("piece", "limit"),
    [
        ("You should see your doctor if it gets worse. It may be viral. ", 0.8),
        ("如果症状加重，建议您及时到医院就诊，可能需要进一步检查。", 0.8),
        # What would take minutes if any pattern were read again from every place.
        ("you do not need to see a doctor or ", 2),
        ("不需要去医院", 2),
        ("medical ", 2),
        ("talk to ", 2),
        ("寻求医疗", 2),
        ("a", 2),
        ("[a](", 2),
        ("\r\n", 2),
    ],
)
def test_a_very_long_answer_takes_well_under_a_second(piece, limit):
    answer = (piece * 100_000)[:100_000]
    spent = []
    for _ in range(2):
        start = time.process_time()
        measured(answer, "zh")
        spent.append(time.process_time() - start)
    assert min(spent) < limit
