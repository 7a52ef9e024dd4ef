"""Doses for children, older people and people whose kidneys fail, over spans of days, in many spellings."""

from __future__ import annotations

import math
import time

import pytest

from guardmed.documents import read_yaml
from guardmed.policy.dose import DoseFinder
from guardmed.policy.limits import DoseLimits
from guardmed.resources import data_folder
from guardmed.text import normalise

FINDER = DoseFinder(read_yaml(data_folder("policies") / "clinical" / "dose_limits.yaml", DoseLimits))

BEYOND = [
    ("Can I give my 4-year-old 1 g of paracetamol?", "paracetamol"),
    ("My toddler weighs 12 kg, can he have 400 mg of ibuprofen?", "ibuprofen"),
    ("My son is 4 and weighs 15 kg. Can he have 500 mg of paracetamol?", "paracetamol"),
    ("Give my 2-month-old 50 mg ibuprofen", "ibuprofen"),
    ("Is 30 mg of codeine fine for a 9 year old?", "codeine"),
    ("She weighs 30 lb, give 500 mg paracetamol", "paracetamol"),
    ("paracetamol 500 mg for an infant", "paracetamol"),
    ("我家孩子3岁，能一次吃500毫克对乙酰氨基酚吗", "paracetamol"),
    ("宝宝8个月，布洛芬一次吃200毫克可以吗", "ibuprofen"),
    ("15kg的孩子一次吃500毫克布洛芬行吗", "ibuprofen"),
    ("孩子体重20公斤，布洛芬一次吃0.4克", "ibuprofen"),
    ("小孩发烧，能吃阿司匹林300毫克吗", "aspirin"),
    ("8个月能吃200mg布洛芬吗", "ibuprofen"),
    ("My 78-year-old mother takes zolpidem 10 mg", "zolpidem"),
    ("My grandmother who is 85 takes 4 g of paracetamol a day", "paracetamol"),
    ("80岁老人每天吃西酞普兰40毫克", "citalopram"),
    ("给老人吃地高辛0.5mg一天", "digoxin-oral"),
    ("I'm on dialysis, can I take metformin 500 mg twice a day?", "metformin"),
    ("My eGFR is 20 and I take ibuprofen 400 mg", "ibuprofen"),
    ("creatinine clearance 15 ml/min, gabapentin 900 mg a day", "gabapentin"),
    ("He has stage 5 kidney disease. Give him 20 mg baclofen daily.", "baclofen"),
    ("我在透析，能吃二甲双胍500毫克吗", "metformin"),
    ("尿毒症患者每天吃加巴喷丁900毫克", "gabapentin"),
    ("肌酐清除率15，每天布洛芬400mg", "ibuprofen"),
    ("eGFR 20，别嘌醇每天300毫克", "allopurinol"),
    ("20 tablets of paracetamol over 2 days", "paracetamol"),
    ("15 g of paracetamol within 3 days", "paracetamol"),
    ("对乙酰氨基酚两天吃了20片", "paracetamol"),
    ("三天内共15克对乙酰氨基酚", "paracetamol"),
    ("paracetamol 1 g q4h x 6", "paracetamol"),
    ("8 g paracetamol a day for 5 days", "paracetamol"),
    ("eight thousand milligrams of paracetamol a day", "paracetamol"),
    ("1 g of paracetamol every 4 hours", "paracetamol"),
    ("two 500 mg tablets of paracetamol 6 times a day", "paracetamol"),
    ("对乙酰氨基酚一天三次，一次四片", "paracetamol"),
    ("对乙酰氨基酚早中晚各四片", "paracetamol"),
    ("对乙酰氨基酚每6小时1.5克", "paracetamol"),
    ("levothyroxine 10 mg", "levothyroxine"),
    ("阿普唑仑一天吃50粒", "alprazolam"),
    ("methotrexate 10 mg every day", "methotrexate-oral"),
    ("甲氨蝶呤每天10mg", "methotrexate-oral"),
    ("Take methotrexate 10 mg every day instead of once a week", "methotrexate-oral"),
    ("paracetamol 100 mg/kg/day", "paracetamol"),
    ("维生素D每天5万单位", "vitamin-d"),
    ("paracetamol 1 g 4-hourly", "paracetamol"),
    ("take twenty-five paracetamol tablets a day", "paracetamol"),
    ("In severe renal impairment give metformin 500 mg twice daily", "metformin"),
    ("Children under 12 can take codeine 30 mg every 6 hours", "codeine"),
    ("1 g paracetamol for adults, 1 g for toddlers", "paracetamol"),
    ("alprazolam 0.5 g", "alprazolam"),
    ("melatonin 2½ tablets 5 times a day", "melatonin"),
    ("fentanyl patch 400 mcg/h", "fentanyl-patch"),
    ("inject 300 units of insulin a day", "insulin"),
    ("胰岛素每次100单位，一天三次", "insulin"),
    ("胰岛素每次100U，一天三次", "insulin"),
    ("对乙酰氨基酚一次3克", "paracetamol"),
    ("My 80-year-old mother glibenclamide 5 mg", "glibenclamide"),
    ("I am 10, can I take codeine 30 mg", "codeine"),
    ("18个月的宝宝，布洛芬200mg", "ibuprofen"),
    ("3岁以下儿童每次布洛芬400毫克", "ibuprofen"),
    ("两岁半的孩子吃对乙酰氨基酚500毫克", "paracetamol"),
]
WITHIN = [
    "Can I give my 4-year-old 240 mg of paracetamol?",
    "paracetamol 1 g four times a day",
    "My son is 4 and weighs 15 kg. Can he have 200 mg of paracetamol?",
    "For 4 years I have taken 1 g paracetamol four times a day",
    "Adults and children over 12 years: ibuprofen 400 mg three times a day",
    "Adults: ibuprofen 400 mg. Not for children under 3 months.",
    "Ibuprofen 400 mg three times daily; keep out of reach of children.",
    "布洛芬每次400毫克，3个月以下婴儿禁用",
    "布洛芬成人每次400毫克，儿童遵医嘱",
    "I'm breastfeeding my 3-month-old, can I take ibuprofen 400 mg?",
    "我在哺乳期，宝宝8个月，能吃布洛芬400毫克吗",
    "My 4-year-old gave me her cold, can I take 1 g of paracetamol?",
    "孩子传染了我，我能吃1克对乙酰氨基酚吗",
    "78-year-old mother takes zolpidem 5 mg",
    "My father is 80. He takes 500 mg paracetamol three times a day.",
    "metformin 500 mg twice daily unless eGFR is below 30",
    "Metformin 1 g twice daily. Do not use if eGFR is below 30.",
    "eGFR 75, metformin 1 g twice a day",
    "paracetamol 500mg q4h x 6",
    "8 tablets of paracetamol over 2 days",
    "paracetamol 4 g a day for 5 days",
    "20 tablets of paracetamol for 5 days",
    "10 g of paracetamol within 3 days",
    "三天内共10克对乙酰氨基酚",
    "对乙酰氨基酚每日三次每次两片",
    "对乙酰氨基酚早中晚各两片",
    "对乙酰氨基酚每6小时1克",
    "对乙酰氨基酚半片",
    "1/2 tablet of paracetamol",
    "两粒半对乙酰氨基酚，一天",
    "一天吃两片半对乙酰氨基酚",
    "levothyroxine 10 µg daily",
    "alprazolam 0.5 mg",
    "5 teaspoons of Calpol",
    "一茶匙泰诺林",
    "paracetamol 75 mg/kg/day divided q6h",
    "paracetamol 4 g daily in 4 divided doses",
    "methotrexate 10 mg once a week",
    "甲氨蝶呤每周10mg",
    "paracetamol 1 g 6-hourly",
    "paracetamol 1 g 6 hourly",
    "Take .5 mg alprazolam",
    "At age 3 250 mg of paracetamol is too much for some",
    "我体重60公斤，布洛芬一次400毫克",
    "I weigh 70 kg; ibuprofen 400 mg",
    "I lost 5 kg; metformin 1 g twice a day",
    "She is 4 months pregnant, paracetamol 1 g",
    "My 7-year-old weighs 50 lb, 320 mg acetaminophen",
    "3岁孩子对乙酰氨基酚一次200毫克",
    "二十一天吃完20片对乙酰氨基酚，每天一片",
    "He is 30, paracetamol 1 g",
    "我今年45岁，对乙酰氨基酚一次1克",
    "We have been married 30 years old car, paracetamol 1 g",
    "My creatinine clearance is 85 ml/min; metformin 1 g twice daily",
    "morphine 15 mg every 4 hours for 5 days",
    "诺氟沙星成人一次400毫克，18岁以下禁用",
    "未满18岁禁用莫西沙星，成人每天400毫克",
    "Codeine 30 mg every 6 hours. Codeine must not be given to children under 12.",
    "Children aged 12 and over: paracetamol 1 g every 6 hours",
    "People over 65 may take paracetamol 500 mg four times a day",
    "paracetamol 1000 mg x 3 days",
    "服用布洛芬400毫克3天，每天三次",
    "我妈70岁，布洛芬每天400毫克",
    "fentanyl patch 25 mcg/h",
    "芬太尼贴剂 100微克/小时",
    "10 U insulin three times a day",
    "胰岛素20单位，早晚各一次",
    "insulin 100 units/mL, 20 units at night",
    "胰岛素300单位/支，每次10U",
    "paracetamol 120 mg/5 mL: 10 mL for my 4-year-old",
    "eGFR 45, paracetamol 3 g a day",
    "我老婆怀孕了，对乙酰氨基酚0.5克",
    "18个月的宝宝，布洛芬100mg",
    "6-12岁儿童，布洛芬每次200毫克",
    "my daughter is 2; 5 mg loratadine",
]


def excesses(text: str, times: float = 1.0):
    return FINDER.excesses(normalise(text).text, times=times)


@pytest.mark.parametrize(("text", "drug"), BEYOND)
def test_beyond_the_limit_of_whoever_it_is_for(text, drug):
    assert [found.drug.id for found in excesses(text)][:1] == [drug]


@pytest.mark.parametrize("text", WITHIN)
def test_within_the_limit_of_whoever_it_is_for(text):
    assert [found.describe()["en"] for found in excesses(text)] == []


@pytest.mark.parametrize(
    ("text", "group", "limit"),
    [
        ("My son weighs 15 kg and is 4. Can he have 500 mg of paracetamol?", "child", "225 mg"),
        ("15kg的孩子一次吃500毫克对乙酰氨基酚", "child", "225 mg"),
        ("My 78-year-old mother takes zolpidem 10 mg", "elderly", "6.25 mg"),
        ("80岁老人每天吃西酞普兰40毫克", "elderly", "20 mg"),
        ("My eGFR is 20. Allopurinol 300 mg a day", "renal", "200 mg"),
        ("肌酐清除率15，别嘌醇每天300毫克", "renal", "200 mg"),
        ("paracetamol 8 g a day", "adult", "4 g"),
    ],
)
def test_whose_limit_it_is(text, group, limit):
    (found,) = excesses(text)
    assert (found.group, str(found.limit)) == (group, limit)


@pytest.mark.parametrize(
    ("text", "english", "chinese"),
    [
        ("codeine 30 mg for my 9-year-old", "not usually given under 12 years of age", "12岁以下"),
        ("ibuprofen 50 mg for my 2-month-old", "not usually given under 3 months of age", "3个月以下"),
        ("I'm on dialysis: metformin 500 mg", "to be avoided in severe kidney disease", "严重肾功能不全者应避免使用"),
        ("glibenclamide 5 mg for my 80-year-old father", "to be avoided for an older adult", "老年人应避免使用"),
        ("ibuprofen 400 mg at once for a 12 kg child", "the usual maximum for a child of 12 kg is 120 mg", "体重12公斤的儿童通常最大量为120 mg"),
    ],
)
def test_the_finding_says_for_whom(text, english, chinese):
    words = excesses(text)[0].describe()
    assert english in words["en"]
    assert chinese in words["zh"]


def test_a_drug_to_avoid_is_beyond_any_number_of_limits():
    (found,) = excesses("Can my 9-year-old have 15 mg of codeine?", times=5.0)
    assert found.ratio == math.inf
    assert found.limit.base == 0


def test_a_drug_to_avoid_needs_a_stated_dose():
    assert excesses("Is codeine safe for my 9-year-old?") == []
    assert excesses("我在透析，能吃二甲双胍吗") == []


@pytest.mark.parametrize(
    ("text", "daily"),
    [
        ("20 tablets of paracetamol over 2 days", 5000),
        ("对乙酰氨基酚两天吃了20片", 5000),
        ("15 g of paracetamol within 3 days", 5000),
        ("三天内共15克对乙酰氨基酚", 5000),
        ("paracetamol 2 g q4h x 3", 6000),
        ("paracetamol 5 g a day for 5 days", 5000),
        ("take paracetamol 10 g over the weekend", 5000),
        ("对乙酰氨基酚每天5克，连吃5天", 5000),
        ("paracetamol 1250 mg q6h x 20", 5000),
    ],
)
def test_what_it_comes_to_in_a_day(text, daily):
    (found,) = excesses(text)
    assert (found.period, found.stated.base) == ("daily", pytest.approx(daily))


HOSTILE = {
    "digits": lambda n: "paracetamol " + "1" * n,
    "zeros": lambda n: "paracetamol " + "0" * n + "8 g",
    "units": lambda n: "paracetamol 8 " + "mg " * (n // 3),
    "nested numbers": lambda n: "paracetamol " + "1,000" * (n // 5) + " mg",
    "counts": lambda n: "paracetamol " + "8 tablets of 8 mg " * (n // 18),
    "amounts before periods": lambda n: "paracetamol " + "8 g " * (n // 8) + "daily " * (n // 12),
    "drugs": lambda n: "paracetamol 8 g " * (n // 16),
    "ages": lambda n: "paracetamol 8 g " + "4-year-old " * (n // 11),
    "Chinese counts": lambda n: "对乙酰氨基酚" + "一片" * (n // 2),
    "negations": lambda n: "paracetamol 8 g " + "not " * (n // 4) + "child",
}


def _seconds(text: str) -> float:
    best = math.inf
    for _ in range(3):
        start = time.perf_counter()
        FINDER.excesses(text)
        best = min(best, time.perf_counter() - start)
    return best


@pytest.mark.parametrize("name", HOSTILE)
def test_time_grows_with_the_length_and_no_faster(name):
    short, long = (_seconds(HOSTILE[name](length)) for length in (4_000, 32_000))
    # Eight times the text; quadratic time would be sixty-four times.
    assert long < 24 * short + 0.02
    FINDER.excesses(HOSTILE[name](100_000))
