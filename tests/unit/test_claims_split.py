"""Answers split into claims: exact texts, exact offsets, laws that hold of any text."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from guardmed.claims.split import Claim, split_claims
from guardmed.text import Span, clauses, sentences

ENGLISH: list[tuple[str, list[str]]] = [
    # Sentences, abbreviations, numbers.
    ("Metformin lowers glucose. It rarely causes hypoglycaemia.", ["Metformin lowers glucose.", "It rarely causes hypoglycaemia."]),
    ("Give 3.5 mg b.i.d. for pain.", ["Give 3.5 mg b.i.d. for pain."]),
    ("Give 5 mg q6h p.r.n. Do not exceed 20 mg a day.", ["Give 5 mg q6h p.r.n.", "Do not exceed 20 mg a day."]),
    ("Suture No. 5 is too thick for skin.", ["Suture No. 5 is too thick for skin."]),
    ("The answer is no. Antibiotics do not kill viruses.", ["The answer is no.", "Antibiotics do not kill viruses."]),
    ("Dr. Lee prescribes aspirin. St. John's wort interacts with it.", ["Dr. Lee prescribes aspirin.", "St. John's wort interacts with it."]),
    ("Some foods, e.g. grapefruit, raise its level.", ["Some foods, e.g. grapefruit, raise its level."]),
    (
        "Rifampicin vs. placebo showed a benefit (p < 0.05). The trial ended in 2010.",
        ["Rifampicin vs. placebo showed a benefit (p < 0.05).", "The trial ended in 2010."],
    ),
    ("The difference was significant, p < 0.05. The effect was small.", ["The difference was significant, p < 0.05.", "The effect was small."]),
    ("The dose is approx. 2.5-5 mg a day.", ["The dose is approx. 2.5-5 mg a day."]),
    ("Fig. 2 shows the response that Smith et al. measured in 2019.", ["Fig. 2 shows the response that Smith et al. measured in 2019."]),
    ("It is sold in the U.S. without prescription. Adults take one tablet.", ["It is sold in the U.S. without prescription.", "Adults take one tablet."]),
    ("Dilute adrenaline 1:1000 to 1:10,000 before use.", ["Dilute adrenaline 1:1000 to 1:10,000 before use."]),
    ("One tablet is taken at 8 a.m. and one at 8:30 p.m. every day.", ["One tablet is taken at 8 a.m. and one at 8:30 p.m. every day."]),
    ("Vitamin D. It protects the bones.", ["Vitamin D.", "It protects the bones."]),
    ("E. coli causes most of these infections.", ["E. coli causes most of these infections."]),
    ("Aspirin reduces fever.[1] It thins the blood.[2,3]", ["Aspirin reduces fever.[1]", "It thins the blood.[2,3]"]),
    (
        "The trial is at https://example.org/a?b=1.2;c=3, doi:10.1000/xyz.123. Metformin is cheap.",
        ["The trial is at https://example.org/a?b=1.2;c=3, doi:10.1000/xyz.123.", "Metformin is cheap."],
    ),
    # Brackets and quotes.
    (
        "Aspirin (see Fig. 2. It is old.) thins the blood, but it can irritate the stomach.",
        ["Aspirin (see Fig. 2. It is old.) thins the blood,", "but it can irritate the stomach."],
    ),
    ('The label says "Do not chew. Swallow whole." in bold print.', ['The label says "Do not chew. Swallow whole." in bold print.']),
    ("Ibuprofen (Advil; an NSAID, and a cheap one) reduces pain.", ["Ibuprofen (Advil; an NSAID, and a cheap one) reduces pain."]),
    # Lists and what leads into them.
    ("Side effects include:\n- nausea\n- diarrhoea\n- a metallic taste", ["nausea", "diarrhoea", "a metallic taste"]),
    (
        "1. Adults:\n   - 500 mg twice daily\n   - at most 2 g a day\n2. Children:\n   - 10 mg per kg",
        ["500 mg twice daily", "at most 2 g a day", "10 mg per kg"],
    ),
    ("1) Rest the leg. 2) Ice it for 20 minutes. 3) Raise it on a pillow.", ["Rest the leg.", "Ice it for 20 minutes.", "Raise it on a pillow."]),
    ("In overdose: (1) stop the drug; (2) give activated charcoal.", ["stop the drug;", "give activated charcoal."]),
    ("a) Wash the wound with water.\nb) Cover it with a clean dressing.", ["Wash the wound with water.", "Cover it with a clean dressing."]),
    ("• Take it at night • Avoid grapefruit juice • Do not crush the tablet", ["Take it at night", "Avoid grapefruit juice", "Do not crush the tablet"]),
    ("The following are side effects:", []),
    ("Metformin is safe in most people, but watch for these signs:\n* vomiting\n* drowsiness", ["Metformin is safe in most people,", "vomiting", "drowsiness"]),
    ("Metformin is not an option for him, because of the following:\n- acidosis", ["Metformin is not an option for him", "acidosis"]),
    ("- [ ] Check the potassium level\n- [x] Stop spironolactone", ["Check the potassium level", "Stop spironolactone"]),
    ("i. Lithium is excreted by the kidneys.\nii. Thiazides raise its level.", ["Lithium is excreted by the kidneys.", "Thiazides raise its level."]),
    ("2.5 mg is enough for most people.", ["2.5 mg is enough for most people."]),
    ("-5 °C is too cold for insulin.", ["-5 °C is too cold for insulin."]),
    # Tables, headings, emphasis, code.
    (
        "| Drug | Adult dose | Maximum |\n|---|:--:|---:|\n| Paracetamol | 500 mg every 6 hours | 4 g a day |\n| Ibuprofen | 200 mg every 8 hours | |\n",
        ["Paracetamol | 500 mg every 6 hours | 4 g a day", "Ibuprofen | 200 mg every 8 hours"],
    ),
    ("Drug | Half-life\n--- | ---\nWarfarin | 40 hours\n\nIt is an old drug.", ["Warfarin | 40 hours", "It is an old drug."]),
    ("## Dosage\n\nAdults take 10 mg once a day.", ["Adults take 10 mg once a day."]),
    ("### Ibuprofen is not safe in late pregnancy", ["Ibuprofen is not safe in late pregnancy"]),
    ("**Warning:** Alcohol raises the risk of bleeding.", ["**Warning:** Alcohol raises the risk of bleeding."]),
    ("**Paracetamol is safe in pregnancy.**\n\nIbuprofen is not.", ["Paracetamol is safe in pregnancy.", "Ibuprofen is not."]),
    ("It is *not* an antibiotic.", ["It is *not* an antibiotic."]),
    ("**Side effects**\n\nNausea is the commonest.", ["Nausea is the commonest."]),
    ("**Metformin**", ["Metformin"]),
    ("Run this:\n```python\nprint('two tablets a day')\n```\nThe usual dose is one tablet a day.", ["The usual dose is one tablet a day."]),
    ("```\nThe usual dose is one tablet a day.", ["The usual dose is one tablet a day."]),
    ("> Aspirin thins the blood.\n>\n> It is cheap.", ["Aspirin thins the blood.", "It is cheap."]),
    ("First\n---\nAspirin thins the blood.", ["First", "Aspirin thins the blood."]),
    # Clauses that stand alone, and those that do not.
    ("He was born in Dublin and was educated at Eton.", ["He was born in Dublin", "and was educated at Eton."]),
    (
        "Metformin lowers blood glucose and reduces the risk of heart disease.",
        ["Metformin lowers blood glucose", "and reduces the risk of heart disease."],
    ),
    ("Metformin is the first choice; sulfonylureas are an alternative.", ["Metformin is the first choice;", "sulfonylureas are an alternative."]),
    (
        "Contraindications: severe renal failure (eGFR < 30); lactic acidosis; alcohol abuse.",
        ["Contraindications: severe renal failure (eGFR < 30); lactic acidosis; alcohol abuse."],
    ),
    (
        "Ibuprofen relieves pain well, whereas paracetamol has little effect on inflammation.",
        ["Ibuprofen relieves pain well,", "whereas paracetamol has little effect on inflammation."],
    ),
    ("Ibuprofen relieves pain well, although it can irritate the stomach.", ["Ibuprofen relieves pain well,", "although it can irritate the stomach."]),
    ("Although it can irritate the stomach, ibuprofen relieves pain well.", ["Although it can irritate the stomach, ibuprofen relieves pain well."]),
    ("Metformin is withheld before contrast because it can cause acidosis.", ["Metformin is withheld before contrast because it can cause acidosis."]),
    ("If you are pregnant, do not take ibuprofen, and call your midwife.", ["If you are pregnant, do not take ibuprofen, and call your midwife."]),
    ("Aspirin, ibuprofen, and naproxen are NSAIDs.", ["Aspirin, ibuprofen, and naproxen are NSAIDs."]),
    ("It treats pain, fever, and inflammation that is caused by injury.", ["It treats pain, fever, and inflammation that is caused by injury."]),
    ("Warfarin, which is an old drug, and aspirin are blood thinners.", ["Warfarin, which is an old drug, and aspirin are blood thinners."]),
    ("Metformin not only lowers glucose but also reduces weight.", ["Metformin not only lowers glucose but also reduces weight."]),
    ("Do not take ibuprofen or drink alcohol during this treatment.", ["Do not take ibuprofen or drink alcohol during this treatment."]),
    ("The first drug is metformin and the usual dose is 500 mg.", ["The first drug is metformin and the usual dose is 500 mg."]),
    ("Trials suggest that it lowers the risk and is safe.", ["Trials suggest that it lowers the risk and is safe."]),
    ("A pressure of 150/95 mmHg is too high – it usually needs treatment.", ["A pressure of 150/95 mmHg is too high", "it usually needs treatment."]),
    ("- Take it for type 2 diabetes (2) and for gout.", ["Take it for type 2 diabetes (2) and for gout."]),
    ("The score was 1. The next was 2. Then it fell.", ["The score was 1.", "The next was 2.", "Then it fell."]),
    ("| Drug | Use |\n|---|---|\n| Not for children | |", ["Not for children"]),
    ("Take two tablets, but not with alcohol.", ["Take two tablets, but not with alcohol."]),
    # What asserts nothing, and what was said before.
    ("Is it safe? Yes, it is safe in pregnancy.", ["Yes, it is safe in pregnancy."]),
    ("Ibuprofen reduces fever; is that what you need?", ["Ibuprofen reduces fever;"]),
    ("Hello! Thank you for your question. Ibuprofen reduces fever. I hope this helps!", ["Ibuprofen reduces fever."]),
    ("I'm not a doctor, but aspirin thins the blood.", ["but aspirin thins the blood."]),
    ("Aspirin thins the blood. ASPIRIN THINS THE BLOOD!", ["Aspirin thins the blood."]),
    ("## References\n1. Smith J, Lee K. Aspirin and fever. Lancet 2020;395(10226):497-506.", []),
    ("Smith et al. showed (Lancet 2020;395:497) that aspirin reduces fever.", ["Smith et al. showed (Lancet 2020;395:497) that aspirin reduces fever."]),
    ("Does it help (with pain; with fever)?", []),
    ("", []),
    (" \n\t\n", []),
    ("[1]\n---\n***", []),
    # Lines.
    ("Aspirin thins the blood.\r\nIt is cheap.\r\n", ["Aspirin thins the blood.", "It is cheap."]),
    (
        "Metformin is the drug that is given first to most people who\nhave type 2 diabetes. It is cheap.",
        ["Metformin is the drug that is given first to most people who\nhave type 2 diabetes.", "It is cheap."],
    ),
]

CHINESE: list[tuple[str, list[str]]] = [
    # 句子、数字、标点
    ("二甲双胍可以降低血糖。它很少引起低血糖。", ["二甲双胍可以降低血糖。", "它很少引起低血糖。"]),
    ("退热可用布洛芬！体温正常后停药……孕妇禁用。", ["退热可用布洛芬！", "体温正常后停药……", "孕妇禁用。"]),
    ("每次５００毫克，每日３次。", ["每次５００毫克，每日３次。"]),
    ("左甲状腺素钠片的起始剂量是12.5-25微克。", ["左甲状腺素钠片的起始剂量是12.5-25微克。"]),
    ("肾上腺素按1:1000稀释后使用。", ["肾上腺素按1:1000稀释后使用。"]),
    ("每日早8:00和晚8:00各服一片。", ["每日早8:00和晚8:00各服一片。"]),
    ("两组差异有统计学意义（P<0.05）。样本量为1,200例。", ["两组差异有统计学意义（P<0.05）。", "样本量为1,200例。"]),
    ("全文见https://example.org/a?b=1;c=2。二甲双胍价格低廉。", ["全文见https://example.org/a?b=1;c=2。", "二甲双胍价格低廉。"]),
    ("三、四天后症状会好转。", ["三、四天后症状会好转。"]),
    ("　　布洛芬可以退热。", ["布洛芬可以退热。"]),
    ("维生素C. 可以促进铁吸收", ["维生素C.", "可以促进铁吸收"]),
    # 括号、引号、书名号
    ("说明书写道：“不可嚼碎。应整片吞服。”", ["说明书写道：“不可嚼碎。应整片吞服。”"]),
    ("“是药三分毒。”这句话有道理。", ["“是药三分毒。”这句话有道理。"]),
    ("《中国药典；二部》收载了该品种。", ["《中国药典；二部》收载了该品种。"]),
    ("布洛芬（芬必得；缓释胶囊，成人用）可以退热，但胃溃疡患者禁用。", ["布洛芬（芬必得；缓释胶囊，成人用）可以退热，", "但胃溃疡患者禁用。"]),
    # 中英混排、全角半角混排
    ("Metformin（二甲双胍）可以降低血糖,但不能用于eGFR<30 mL/min的患者。", ["Metformin（二甲双胍）可以降低血糖,", "但不能用于eGFR<30 mL/min的患者。"]),
    ("成人可服用ibuprofen 200 mg，q6h，最大剂量1.2 g/d。", ["成人可服用ibuprofen 200 mg，q6h，最大剂量1.2 g/d。"]),
    ("ACEI类药物可引起干咳，ARB类药物很少引起干咳。", ["ACEI类药物可引起干咳，", "ARB类药物很少引起干咳。"]),
    # 列表与引导句
    ("常见副作用包括：\n- 恶心\n- 腹泻\n- 口中有金属味", ["恶心", "腹泻", "口中有金属味"]),
    (
        "一、成人：\n  1. 每次500毫克，每日两次\n  2. 每日不超过2克\n二、儿童：\n  1. 每公斤体重10毫克",
        ["每次500毫克，每日两次", "每日不超过2克", "每公斤体重10毫克"],
    ),
    ("过量时：（1）立即停用该药；（2）口服活性炭50克。", ["立即停用该药；", "口服活性炭50克。"]),
    ("不良反应有：①恶心；②呕吐；③皮疹。", ["恶心；", "呕吐；", "皮疹。"]),
    ("1、多喝温水；2、注意休息；3、清淡饮食。", ["多喝温水；", "注意休息；", "清淡饮食。"]),
    ("①多喝温水；②注意休息；③清淡饮食。", ["多喝温水；", "注意休息；", "清淡饮食。"]),
    ("1.布洛芬可以退热。\n2.阿司匹林可以抗血小板。", ["布洛芬可以退热。", "阿司匹林可以抗血小板。"]),
    ("（一）布洛芬可以退热。\n（二）阿司匹林可以抗血小板。", ["布洛芬可以退热。", "阿司匹林可以抗血小板。"]),
    ("以下为禁忌人群：", []),
    ("该药不能用于这位患者，因为他有以下情况：\n- 乳酸酸中毒", ["该药不能用于这位患者", "乳酸酸中毒"]),
    ("•孕妇禁用该药\n•哺乳期妇女慎用该药", ["孕妇禁用该药", "哺乳期妇女慎用该药"]),
    # 表格、标题、强调、代码
    (
        "| 药物 | 成人剂量 |\n| --- | --- |\n| 布洛芬 | 每次200毫克 |\n| 对乙酰氨基酚 | 每次500毫克 |",
        ["布洛芬 | 每次200毫克", "对乙酰氨基酚 | 每次500毫克"],
    ),
    ("## 用法用量\n成人每日一次，每次10毫克。", ["成人每日一次，每次10毫克。"]),
    ("###不良反应\n最常见的是恶心。", ["最常见的是恶心。"]),
    ("**注意：**服药期间禁止饮酒。", ["**注意：**服药期间禁止饮酒。"]),
    ("**布洛芬可以退热。**", ["布洛芬可以退热。"]),
    ("**二甲双胍**", ["二甲双胍"]),
    ("示例：\n```\n每日两片\n```\n常用量是每日一片。", ["常用量是每日一片。"]),
    # 能独立的分句
    ("二甲双胍是一线用药，不会引起低血糖反应。", ["二甲双胍是一线用药，", "不会引起低血糖反应。"]),
    ("一般不需要用药，如果体温超过38.5℃，可以服用布洛芬。", ["一般不需要用药，", "如果体温超过38.5℃，可以服用布洛芬。"]),
    ("常见副作用有恶心、呕吐、腹泻，少数人会出现皮疹。", ["常见副作用有恶心、呕吐、腹泻，", "少数人会出现皮疹。"]),
    ("体温较高时可用退烧药；体温正常时不需要用药。", ["体温较高时可用退烧药；", "体温正常时不需要用药。"]),
    ("青霉素过敏者禁用阿莫西林，哮喘患者慎用阿司匹林。", ["青霉素过敏者禁用阿莫西林，", "哮喘患者慎用阿司匹林。"]),
    ("血压150/95mmHg属于偏高，正常血压低于120/80mmHg。", ["血压150/95mmHg属于偏高，", "正常血压低于120/80mmHg。"]),
    ("乙肝可以通过血液传播，也可以通过母婴传播，但不会通过共餐传播。", ["乙肝可以通过血液传播，", "也可以通过母婴传播，", "但不会通过共餐传播。"]),
    # 须连在一起的分句
    ("布洛芬是解热镇痛药，成人每次200毫克，每日三次。", ["布洛芬是解热镇痛药，成人每次200毫克，每日三次。"]),
    ("患者不宜饮酒，因为酒精会加重肝损伤。", ["患者不宜饮酒，因为酒精会加重肝损伤。"]),
    ("因为肝功能受损，所以需要减少用量。", ["因为肝功能受损，所以需要减少用量。"]),
    ("如果出现皮疹，应立即停药，并尽快就医。", ["如果出现皮疹，应立即停药，并尽快就医。"]),
    ("虽然布洛芬能止痛，但是会刺激胃黏膜。", ["虽然布洛芬能止痛，但是会刺激胃黏膜。"]),
    ("二甲双胍不仅能降低血糖，而且可以减轻体重。", ["二甲双胍不仅能降低血糖，而且可以减轻体重。"]),
    ("服药期间不要饮酒，以免加重肝脏损伤。", ["服药期间不要饮酒，以免加重肝脏损伤。"]),
    ("不良反应：恶心；呕吐；皮疹。", ["不良反应：恶心；呕吐；皮疹。"]),
    ("对青霉素过敏的人不能使用阿莫西林，可以改用阿奇霉素。", ["对青霉素过敏的人不能使用阿莫西林，可以改用阿奇霉素。"]),
    ("他汀类药物能够抑制胆固醇合成，从而降低血脂。", ["他汀类药物能够抑制胆固醇合成，从而降低血脂。"]),
    ("咳嗽，声音嘶哑，喉咙疼痛，痰中带血。", ["咳嗽，声音嘶哑，喉咙疼痛，痰中带血。"]),
    # 不作判断的话与重复的话
    ("能和布洛芬一起吃吗？可以一起服用。", ["可以一起服用。"]),
    ("您好！感谢您的提问。布洛芬可以退热。希望对您有帮助！", ["布洛芬可以退热。"]),
    ("布洛芬可以退热。布洛芬可以退热！", ["布洛芬可以退热。"]),
    ("作为人工智能助手，我无法诊断疾病，但发热可以用布洛芬。", ["但发热可以用布洛芬。"]),
]


@pytest.mark.parametrize(("answer", "expected"), ENGLISH + CHINESE)
def test_the_claims_of_an_answer(answer: str, expected: list[str]) -> None:
    assert [claim.text for claim in split_claims(answer)] == expected


# --- sentences, which policies read as well -----------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The answer is no. Rest.", ["The answer is no.", "Rest."]),
        ("Use No. 5 or Nos. 6-8 now.", ["Use No. 5 or Nos. 6-8 now."]),
        ("Take it b.i.d. Then rest.", ["Take it b.i.d.", "Then rest."]),
        ("Take it b.i.d. with food.", ["Take it b.i.d. with food."]),
        ("Wait 5 min. Then go, at max. speed.", ["Wait 5 min.", "Then go, at max. speed."]),
        ("Nausea, rash, etc. Stop it.", ["Nausea, rash, etc.", "Stop it."]),
        ("The U.S. Army uses it in the U.S. It works.", ["The U.S. Army uses it in the U.S.", "It works."]),
        ("J. K. Rowling and B. C. Lee wrote it.", ["J. K. Rowling and B. C. Lee wrote it."]),
        ("S. aureus and E. coli grow.", ["S. aureus and E. coli grow."]),
        ("Hepatitis B. Vitamin C. Type I.", ["Hepatitis B.", "Vitamin C.", "Type I."]),
        ("So did I. We left.", ["So did I.", "We left."]),
        ("Tab. Paracetamol and Inj. Ceftriaxone.", ["Tab. Paracetamol and Inj. Ceftriaxone."]),
        ("a. Rest. b. Drink.", ["a. Rest.", "b. Drink."]),
        ("It works.[1] It is safe.[2,3-5]", ["It works.[1]", "It is safe.[2,3-5]"]),
        ("头痛｡恶心｡", ["头痛｡", "恶心｡"]),
    ],
)
def test_sentences_end_where_they_do(text: str, expected: list[str]) -> None:
    assert [span.of(text) for span in sentences(text)] == expected


@pytest.mark.parametrize("unit", ["e.g. ", "A. ", "\r\n", ", ", ",", ".", "a, ", "。", " ", ". \n", "a b.i.d. "])
def test_long_texts_are_cut_to_their_end(unit: str) -> None:
    # A square law would take hours here.
    text = unit * (200_000 // len(unit)) + "\nIt is safe, but old"
    assert sentences(text)[-1].of(text) == "It is safe, but old"
    assert clauses(text)[-1].of(text) == "but old"


# --- what an item hangs from -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("Side effects include:\n\n- nausea\n- rash", [("nausea", "Side effects include"), ("rash", "Side effects include")]),
        ("1. Adults:\n   - 500 mg twice daily\n2. Children:\n   - 10 mg per kg", [("500 mg twice daily", "Adults"), ("10 mg per kg", "Children")]),
        ("## Interactions\n- warfarin\n- lithium", [("warfarin", "Interactions"), ("lithium", "Interactions")]),
        ("**Interactions:**\n- warfarin\n\nIt is cheap.", [("warfarin", "Interactions"), ("It is cheap.", "")]),
        ("In overdose: (1) stop the drug; (2) give charcoal at once.", [("stop the drug;", "In overdose"), ("give charcoal at once.", "In overdose")]),
        ("- Nausea: It is common. It soon passes.", [("Nausea: It is common.", ""), ("It soon passes.", "Nausea")]),
        # A line between the items leads into a deeper list, and no further.
        ("1. Women:\n  * it stops ovulation\nIn men it:\n  * lowers the sperm count\n2. It is addictive.",
         [("it stops ovulation", "Women"), ("lowers the sperm count", "In men it"), ("It is addictive.", "")]),
        ("（1）轻度：可口服葡萄糖。半小时后复测。（2）重度：应静脉注射葡萄糖。",
         [("轻度：可口服葡萄糖。", ""), ("半小时后复测。", "轻度"), ("重度：应静脉注射葡萄糖。", "")]),
        ("常见副作用：\n1. 恶心\n2. 皮疹", [("恶心", "常见副作用"), ("皮疹", "常见副作用")]),
        ("不良反应有：①恶心；②呕吐。", [("恶心；", "不良反应有"), ("呕吐。", "不良反应有")]),
        ("### 禁忌\n- 孕妇\n- 重度肝病", [("孕妇", "禁忌"), ("重度肝病", "禁忌")]),
        ("| 药物 | 剂量 |\n|---|---|\n| 布洛芬 | 200毫克 |", [("布洛芬 | 200毫克", "药物 | 剂量")]),
    ],
)  # fmt: skip
def test_an_item_knows_what_leads_into_it(answer: str, expected: list[tuple[str, str]]) -> None:
    assert [(claim.text, claim.lead) for claim in split_claims(answer)] == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("Side effects include:\n- **nausea**", "Side effects include: nausea"),
        ("常见副作用包括：\n- `恶心`", "常见副作用包括：恶心"),
        ("| Drug | Dose |\n|---|---|\n| **Aspirin** | 500 mg |", "Drug: Aspirin; Dose: 500 mg"),
        ("**Warning:** Alcohol raises\u3000the risk.", "Warning: Alcohol raises the risk."),
        ("The p_53 gene is large.", "The p_53 gene is large."),
    ],
)
def test_a_statement_can_be_read_by_itself(answer: str, expected: str) -> None:
    (claim,) = split_claims(answer)
    assert claim.statement == expected


# --- kinds, questions, repeats -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("It may cause:\n- nausea\n- rash", ["hedged", "hedged"]),
        ("It can cause:\n- nausea\n- rash", ["fact", "fact"]),
        ("In women, it can:\n- increase the risk of stroke\n- disrupt ovulation", ["fact", "fact"]),
        ("Please see a doctor if you have:\n- chest pain\n- a fever above 39 °C", ["advice", "fact"]),
        ("You should:\n- rest\n- drink plenty of water", ["advice", "advice"]),
        ("Ibuprofen reduces fever. It might upset the stomach. Talk to your doctor.", ["fact", "hedged", "advice"]),
        ("可能引起：\n- 恶心\n- 皮疹", ["hedged", "hedged"]),
        ("布洛芬可以退热。可能刺激胃黏膜。请咨询医生。", ["fact", "hedged", "advice"]),
        ("出现下列情况请及时就医：\n- 胸痛\n- 体温超过39℃", ["advice", "fact"]),
        ("Why does it hurt? Where?\n- How long have you had it?\n以前发作过吗？", []),
        ("Hello! I hope this helps.\n\n您好！祝您早日康复。", []),
    ],
)
def test_kinds_of_claims_and_what_is_left_out(answer: str, expected: list[str]) -> None:
    assert [claim.kind for claim in split_claims(answer)] == expected


@pytest.mark.parametrize(
    ("question", "answer", "expected"),
    [
        ("I have had a fever for three days. What should I do?", "I have had a fever for three days. Ibuprofen lowers it.", ["Ibuprofen lowers it."]),
        # Words out of the question are an answer, and may be a wrong one.
        ("能不能吃西瓜？", "不能吃西瓜。", ["不能吃西瓜。"]),
        ("Which is safer in pregnancy, paracetamol or ibuprofen?", "Paracetamol.", ["Paracetamol."]),
        ("Metformin causes nausea?", "Metformin causes nausea.", ["Metformin causes nausea."]),
        ("我发烧三天了。怎么办？", "我发烧三天了。布洛芬可以退热。", ["布洛芬可以退热。"]),
    ],
)
def test_what_the_question_states_is_no_claim_of_the_answer(question: str, answer: str, expected: list[str]) -> None:
    assert [claim.text for claim in split_claims(answer, question=question)] == expected


def test_one_item_under_two_leads_is_two_claims() -> None:
    answer = "Common:\n- headache\n- nausea\n- nausea\n\nRare:\n- headache"
    assert [(claim.text, claim.lead) for claim in split_claims(answer)] == [("headache", "Common"), ("nausea", "Common"), ("headache", "Rare")]


def test_a_claim_is_a_fact_unless_told_otherwise_and_cannot_change() -> None:
    claim = Claim("Aspirin thins the blood.", Span(0, 24))
    assert (claim.kind, claim.lead, claim.statement) == ("fact", "", "Aspirin thins the blood.")
    with pytest.raises(AttributeError):
        claim.text = "Aspirin thickens the blood."  # type: ignore[misc]


# --- laws --------------------------------------------------------------------------------------

FRAGMENTS = [
    "Metformin lowers glucose. ", "It may cause nausea, and it is cheap. ", "If you are ill, rest. ", "(see Fig. 2. ", "b.i.d. ", "3.5 mg ", "“", "”", '"',
    "(", ")", "（", "）", "- ", "* ", "1. ", "2) ",
    "一、", "①", "②", "• ", "\n", "\r\n", "\n\n", "  ", "\t", "## ", "**", "_", "`", "```\n", "~~~\n", "| a | b |\n", "|---|---|\n", "---\n", "> ", ": ",
    "：", "; ", "；", "，", "。", "？", "! ", "…", "——", " - ",
    "布洛芬可以退热，但是孕妇禁用。", "如果发热，应就医，", "每日三次", "and ", "but ", "because ", "[1]", "https://a.org/b?c=1. ", "\u2028", "\u3000", "é",
    "\U0001f600", "\x00", "Side effects:\n", "不良反应：\n",
]  # fmt: skip
ANSWERS = st.lists(st.sampled_from(FRAGMENTS), max_size=25).map("".join) | st.text(max_size=120)


@settings(max_examples=300)
@given(ANSWERS)
def test_claims_lie_in_the_answer_in_order_and_apart(answer: str) -> None:
    at = 0
    for claim in split_claims(answer):
        assert at <= claim.span.start < claim.span.end <= len(answer)
        assert claim.text == claim.span.of(answer) == claim.text.strip()
        assert re.search(r"\w", claim.text)
        assert claim.kind in ("fact", "hedged", "advice")
        at = claim.span.end


# Whole lines: what stands at the seam of two answers must neither lead into a list nor open a fence.
LINES = [
    "Metformin lowers glucose, and it is cheap.", "- It may cause nausea.", "1. Take 500 mg twice daily.", "  - deep item", "| Aspirin | 500 mg |",
    "| Drug | Dose |\n|---|---|\n| Warfarin | 5 mg |",
    "> Quoted text is text.", "布洛芬可以退热，但是孕妇禁用。", "①恶心；②呕吐", "如果发热，请就医。", "Is it safe?", "Hello!", "He said \"no. never.\" twice",
    "(open bracket is left. It stays.", "**bold** words are bold words",
    "plain words without a mark at the end of a line that is long enough", "which go on here.", "It is cheap; it is old; it works.", "", "   ", "---",
    "2) second item", "（2）第二项", "see https://a.org/b?c=1.",
]  # fmt: skip


@settings(max_examples=300)
@given(st.lists(st.sampled_from(LINES), max_size=6), st.lists(st.sampled_from(LINES), max_size=6))
def test_a_blank_line_parts_two_answers(first: list[str], second: list[str]) -> None:
    one, other = "\n".join(first), "\n".join(second)
    # An indented item belongs to the list above it, blank lines or not.
    assume(not next((line for line in second if line.strip()), "").startswith("  "))
    apart, later = split_claims(one), split_claims(other)
    seen = {re.sub(r"\W+", "", claim.text.lower()) for claim in apart}
    assume(not seen & {re.sub(r"\W+", "", claim.text.lower()) for claim in later})
    shift = len(one) + 2
    expected = [(claim.text, claim.span, claim.kind) for claim in apart]
    expected += [(claim.text, Span(claim.span.start + shift, claim.span.end + shift), claim.kind) for claim in later]
    assert [(claim.text, claim.span, claim.kind) for claim in split_claims(f"{one}\n\n{other}")] == expected


@settings(max_examples=200)
@given(ANSWERS)
def test_blank_lines_around_an_answer_and_a_question_that_states_nothing_change_no_claim(answer: str) -> None:
    moved = split_claims(f"\n \n{answer}\n", question="Is it?")
    assert moved == [Claim(claim.text, Span(claim.span.start + 3, claim.span.end + 3), claim.kind, claim.lead) for claim in split_claims(answer)]


@pytest.mark.parametrize(
    "unit",
    [
        "a, and it is b, ", "布洛芬可以退热，但是不能用于孕妇。", "(", "“", "((a) ", "`a", "```\n~~~\n", "| a | b |\n", "**a", "e.g. ", "1) 2) ", ",", ". ",
        "\r\n", "\n ", " ",
        "> ", "https://a.b/", "a: ", "——", "a - ", "If you are ill, ", "因为，", "如果", "word", "中", "\u2028", "\x00", "may ", "可能",
    ],
)  # fmt: skip
def test_long_answers_are_read_to_their_end(unit: str) -> None:
    # A square law would take hours here.
    answer = unit * (200_000 // len(unit)) + "\n\nMetformin lowers blood glucose."
    last = split_claims(answer)[-1]
    assert last.text.endswith("Metformin lowers blood glucose.")
    assert last.span.end == len(answer)
