from __future__ import annotations

import dataclasses
import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    # Two languages.
    ("如果出现过敏反应（anaphylaxis），请拨打911。", 0, 0, 1, 1),
    ("这是 ECG 的正常表现。See your GP if it comes back.", 0, 0, 1, 0),
    ("建议看GP，或联系医生。", 0, 0, 1, 0),
]
