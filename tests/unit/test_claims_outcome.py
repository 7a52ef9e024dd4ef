"""What is done to an answer with claims that lack support: what stays is whole, means what it meant, and is accounted for."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardmed.claims.check import CheckedClaim
from guardmed.claims.outcome import MARKS, shape
from guardmed.claims.split import split_claims
from guardmed.errors import DataError, UsageError

VERDICTS = {"+": "supported", "-": "unsupported", "?": "uncertain"}
KINDS = {"!": "advice", "~": "other", "%": "hedged"}


def parsed(marked: str) -> tuple[str, list[CheckedClaim]]:
    """An answer and its claims: ``{+supported}``, ``{-unsupported}``, ``{?uncertain}``; ``{-!`` is advice, ``{-~`` says nothing, ``{-%`` hedges."""
    answer, claims = "", []
    for piece in re.split(r"(\{[-+?][^}]*\})", marked):
        if piece[:1] == "{" and piece[1:2] in VERDICTS:
            kind = KINDS.get(piece[2], "fact")
            text = piece[2 if kind == "fact" else 3 : -1]
            claims.append(CheckedClaim(text.strip(), len(answer), len(answer) + len(text), 0.5, VERDICTS[piece[1]], {}, kind))
            piece = text
        answer += piece
    return answer, claims


def cut(marked: str, **options) -> str:
    answer, claims = parsed(marked)
    options = {"action": "cut", "keep_at_least": 0.0, "language": "en", **options}
    shaped = shape(answer, claims, **options)
    accounted(answer, claims, shaped)
    return shaped.text


def core(text: str) -> str:
    """What of a claim no cutting may change: not its closing punctuation, nor the word that joined it, nor a capital."""
    return re.sub(r"^(?:and|so|因此|所以)[\s，,]*", "", text.strip().lower()).strip(".,;:!?。，；：！？、 \"'”’)）")


def accounted(answer: str, claims, shaped) -> None:
    """The laws of every outcome but a mark."""
    assert len(shaped.removed) + len(shaped.kept) == len(claims)
    left = [claim for claim in claims if claim not in shaped.removed]
    assert [core(claim.text) for claim in left] == [core(claim.text) for claim in shaped.kept]
    for claim in shaped.kept:
        assert shaped.text[claim.start : claim.end].strip() == claim.text
    assert len(shaped.text) <= len(answer)
    if shaped.state == "whole":
        assert shaped.text == answer
    if shaped.state == "nothing left":
        assert (shaped.text, shaped.kept) == ("", ())


ENGLISH = {
    "a sentence": ("{+Aspirin thins the blood.} {-Honey heals ulcers.} {+Metformin lowers glucose.}", "Aspirin thins the blood. Metformin lowers glucose."),
    "the last sentence": ("{+Aspirin thins the blood.} {-Honey heals ulcers.}", "Aspirin thins the blood."),
    "a clause at the end": ("{+Aspirin thins the blood,} {-and it heals ulcers.}", "Aspirin thins the blood."),
    "a clause with which": (
        "{+Metformin lowers glucose,} {-which protects the eyes.} {+Ramipril lowers pressure.}",
        "Metformin lowers glucose. Ramipril lowers pressure.",
    ),
    "a clause at the beginning": ("{-Honey heals ulcers,} {+and omeprazole reduces acid.}", "Omeprazole reduces acid."),
    "a clause in the middle": (
        "{+Aspirin thins the blood,} {-honey heals ulcers,} {+and omeprazole reduces acid.}",
        "Aspirin thins the blood, and omeprazole reduces acid.",
    ),
    "what loses its subject": ("{+Aspirin thins the blood,} {-honey heals ulcers,} {+and is taken daily.}", "Aspirin thins the blood."),
    "the beginning with the subject": ("{-Metformin was found in 1700,} {+and is taken with meals.} {+Aspirin thins the blood.}", "Aspirin thins the blood."),
    "the end of a list of three": ("{+It causes nausea, vomiting,} {-and pain in the legs.} {+Aspirin thins the blood.}", "Aspirin thins the blood."),
    "after a semicolon": ("{+Aspirin thins the blood;} {-honey heals ulcers.}", "Aspirin thins the blood."),
    "before a semicolon": ("{-Honey heals ulcers;} {+omeprazole reduces acid.}", "Omeprazole reduces acid."),
    "pH keeps its small letter": ("{-Honey heals ulcers;} {+pH falls after meals.}", "pH falls after meals."),
    "between semicolons": ("{+Side effects: nausea;} {-blindness;} {+rash.}", "Side effects: nausea; rash."),
    "no subject after a semicolon": ("{-Aspirin heals ulcers;} {+lowers fever.} {+Metformin lowers glucose.}", "Metformin lowers glucose."),
    "a negation": ("{+Antibiotics treat bacteria,} {-and they do not harm the liver.} {+Rest helps.}", "Rest helps."),
    "an exception": ("{+Ibuprofen is safe in pregnancy,} {-unless it is the third trimester.} {+Rest helps.}", "Rest helps."),
    "a contrast": ("{+Ibuprofen is safe,} {-but it harms the kidneys.} {+Rest helps.}", "Rest helps."),
    "a condition that stays": ("{+If you have asthma,} {-you can take propranolol.} {+Rest helps.}", "Rest helps."),
    "a condition that goes": ("{-If you have asthma,} {+propranolol is dangerous.} {+Rest helps.}", "Rest helps."),
    "what is reported": ("{-Doctors deny that honey helps,} {+and ginger is useful.} {+Rest helps.}", "Rest helps."),
    "either or": ("{+Take either aspirin,} {-or honey is given.} {+Rest helps.}", "Rest helps."),
    "after a colon": ("{+Metformin has two effects:} {-it heals ulcers.} {+Rest helps.}", "Rest helps."),
    "an exception of its own": ("{+Ibuprofen is safe in pregnancy.} {-Except in the first trimester.} {+Rest helps.}", "Rest helps."),
    "an exception to what goes": ("{-Ibuprofen is safe in pregnancy.} {+Except in the third trimester.} {+Rest helps.}", "Rest helps."),
    "a denial": ("{+Some say that honey cures cancer.} {-This is wrong.} {+Rest helps.}", "Rest helps."),
    "a conclusion": ("{-Honey heals ulcers.} {+Therefore it is given daily.} {+Rest helps.}", "Rest helps."),
    "a chain of conclusions": ("{-Honey heals ulcers.} {+Thus it is cheap.} {+So it is loved.} {+However, it is sweet.} {+Rest helps.}", "Rest helps."),
    "a contrast of its own": ("{+Honey is sweet.} {-However, it heals ulcers.} {+Rest helps.}", "Honey is sweet. Rest helps."),
    "a pronoun": ("{+Metformin lowers glucose.} {-Phenformin is safer.} {+It is taken with meals.} {+Rest helps.}", "Metformin lowers glucose. Rest helps."),
    "a shared subject": ("{+Metformin lowers glucose.} {-It heals ulcers.} {+It is cheap.}", "Metformin lowers glucose. It is cheap."),
    "a pronoun behind an added word": ("{-Honey heals ulcers.} {+Moreover, it is cheap.} {+Rest helps.}", "Rest helps."),
    "it that stands for nothing": ("{-Honey heals ulcers.} {+It is important to drink water.}", "It is important to drink water."),
    "the drug": ("{-Thalidomide is harmless.} {+The drug is taken at night.} {+Rest helps.}", "Rest helps."),
    "after a clause was cut": (
        "{+Aspirin thins the blood,} {-and honey heals ulcers.} {+This lasts for days.} {+Rest helps.}",
        "Aspirin thins the blood. Rest helps.",
    ),
    "dependent advice": ("{-Honey heals ulcers.} {-!Therefore take two spoons a day.} {+Rest helps.}", "Rest helps."),
    "advice to seek care": ("{-Honey heals ulcers.} {-!So see a doctor if you do not get better.}", "So see a doctor if you do not get better."),
    "advice against care": ("{-Honey heals ulcers.} {-!So you need not see a doctor.} {+Rest helps.}", "Rest helps."),
    "care in the same sentence": ("{-Chest pain is always an infarct,} {-!so call an ambulance at once.}", "Call an ambulance at once."),
    "a reason that stays": ("{+Because it lowers glucose,} {-metformin cures cancer.} {+Rest helps.}", "Rest helps."),
    "a reason of what is denied": ("{+Aspirin is not for children,} {-because it harms the hair.} {+Rest helps.}", "Rest helps."),
    "one thing that was added": ("{+Aspirin causes nausea} {-and pain in the legs.} {+Rest helps.}", "Aspirin causes nausea. Rest helps."),
    "half of a quote": ("They say “{+rest helps.} {-Honey heals ulcers.}” {+Tea soothes.}\n{+Drink water.}", "Drink water."),
    "what was split off": ("{-Frank Abagnale Jr.} {+(born in 1948) is an author.} {+Rest helps.}", "Rest helps."),
    "a dose and its limit": ("{+Adults take 500 mg of it,} {-and the maximum is 9 g.} {+Rest helps.}", "Rest helps."),
    "what narrows it after a semicolon": ("{+Ibuprofen is safe;} {-however, it harms the kidneys.} {+Rest helps.}", "Rest helps."),
    "a bare yes": ("{+Rest helps.} Yes. {-Honey heals ulcers.} {+Tea soothes.}", "Rest helps. Tea soothes."),
    "a bare no": ("No, it does not. {-Honey heals ulcers,} {+and ginger reduces nausea.} {+Tea soothes.}", "Ginger reduces nausea. Tea soothes."),
    "brackets": ("{+Aspirin (also} {-called honey.} {+It is old) thins the blood.}\n{+Rest helps.}", "Rest helps."),
    "a repetition": ("{-Honey heals ulcers.} {+Rest helps.} Honey heals ulcers. {+Aspirin thins the blood.}", "Rest helps. Aspirin thins the blood."),
    "a claim over two sentences": ("{+Rest helps.} {-Honey heals. Ulcers go.} {+Aspirin thins the blood.}", "Rest helps. Aspirin thins the blood."),
    "no full stop": ("{+Aspirin thins the blood,} {-and it heals ulcers}", "Aspirin thins the blood"),
}

CHINESE = {
    "a sentence": ("{+阿司匹林可抗血小板。}{-蜂蜜可治愈溃疡。}{+二甲双胍可降低血糖。}", "阿司匹林可抗血小板。二甲双胍可降低血糖。"),
    "a clause at the end": ("{+二甲双胍可降低血糖，}{-也可治愈溃疡。}", "二甲双胍可降低血糖。"),
    "all after a gap, for the topic may have changed": ("{+二甲双胍可降低血糖，}{-雷米普利可升高血压，}{+每日服用一次。}", "二甲双胍可降低血糖。"),
    "the topic": ("{-二甲双胍可治愈溃疡，}{+应随餐服用。}{+阿司匹林可抗血小板。}", "阿司匹林可抗血小板。"),
    "discomfort is no negation": ("{+二甲双胍可降低血糖，}{-可引起皮肤不适。}", "二甲双胍可降低血糖。"),
    "a negation": ("{+布洛芬可退热，}{-不损伤胃黏膜。}{+多喝水。}", "多喝水。"),
    "a contraindication": ("{+布洛芬可退热，}{-孕晚期禁用。}{+多喝水。}", "多喝水。"),
    "a contrast": ("{+布洛芬可退热，}{-但会损伤肾脏。}{+多喝水。}", "多喝水。"),
    "a condition": ("{+如果血压过高，}{-可以自行加量。}{+多喝水。}", "多喝水。"),
    "a condition with a verb": ("{+如果可能出现低血糖，}{-可口服蜂蜜。}{+多喝水。}", "多喝水。"),
    "a time": ("{+服用二甲双胍期间，}{-可以饮酒。}{+多喝水。}", "多喝水。"),
    "a subject": ("{+可能的副作用，}{-是头发变绿。}{+多喝水。}", "多喝水。"),
    "a topic without a verb": ("{+二甲双胍的主要作用，}{-是治愈溃疡。}{+多喝水。}", "多喝水。"),
    "after a semicolon": ("{+阿司匹林可抗血小板；}{-蜂蜜可治愈溃疡。}", "阿司匹林可抗血小板。"),
    "between semicolons": ("{+阿司匹林可抗血小板；}{-蜂蜜可治愈溃疡；}{+对乙酰氨基酚可退热。}", "阿司匹林可抗血小板；对乙酰氨基酚可退热。"),
    "before a semicolon": ("{-蜂蜜可治愈溃疡；}{+他汀类药物可降低血脂。}", "他汀类药物可降低血脂。"),
    "no subject after a semicolon": ("{-蜂蜜可治愈溃疡；}{+可长期服用。}{+多喝水。}", "多喝水。"),
    "a conclusion": ("{-蜂蜜可治愈溃疡。}{+因此可以长期服用。}{+多喝水。}", "多喝水。"),
    "the drug": ("{+阿司匹林可抗血小板。}{-氯吡格雷可治愈溃疡。}{+该药可引起出血。}", "阿司匹林可抗血小板。"),
    "a shared subject": ("{+阿司匹林可抗血小板。}{-该药可治愈溃疡。}{+该药可引起出血。}", "阿司匹林可抗血小板。该药可引起出血。"),
    "a pronoun behind an added word": ("{-蜂蜜可治愈溃疡。}{+此外，它还能止咳。}{+多喝水。}", "多喝水。"),
    "an exception of its own": ("{+布洛芬可用于孕妇。}{-除非处于孕晚期。}{+多喝水。}", "多喝水。"),
    "in addition is no exception": ("{+布洛芬可退热。}{-除退热外，还可治愈溃疡。}{+多喝水。}", "布洛芬可退热。多喝水。"),
    "a denial": ("{+有人认为蜂蜜可治愈癌症。}{-这种说法是错误的。}{+多喝水。}", "多喝水。"),
    "a dose and its limit": ("{+成人每次可服500毫克，}{-每日可服9克。}{+多喝水。}", "多喝水。"),
    "what narrows it after a semicolon": ("{+布洛芬可用于成人；}{-孕妇禁用。}{+多喝水。}", "多喝水。"),
    "a bare yes": ("可以的。{-蜂蜜可治愈溃疡。}{+多喝水。}", "多喝水。"),
    "advice to seek care": ("{-蜂蜜可治愈溃疡。}{-!因此如有不适，请及时就医。}", "因此如有不适，请及时就医。"),
    "advice against care": ("{-蜂蜜可治愈溃疡。}{-!因此无需就医。}{+多喝水。}", "多喝水。"),
    "care in the same sentence": ("{-胸痛一定是心梗，}{-!因此应立即就医。}", "应立即就医。"),
    "both languages": (
        "{+阿司匹林（aspirin）可抗血小板。}{-Honey heals ulcers.} {+二甲双胍可降低血糖。}",
        "阿司匹林（aspirin）可抗血小板。二甲双胍可降低血糖。",
    ),
}

LAYOUT = {
    "list items": (
        "Common side effects:\n- {+Nausea is common.}\n- {-Hair turns green.}\n- {-Teeth fall out.} {+Aspirin thins the blood.}\n\n{+Rest helps.}",
        "Common side effects:\n- Nausea is common.\n- Aspirin thins the blood.\n\nRest helps.",
    ),
    "the last item closes the list": (
        "{+不良反应有：}\n1. {+恶心、呕吐；}\n2. {-头发变绿；}\n3. {-牙齿脱落。}\n\n{+多喝水。}",
        "不良反应有：\n1. 恶心、呕吐。\n\n多喝水。",
    ),
    "a lead-in of nothing": (
        "{+Rest helps.}\n\n{+Honey has these effects:}\n- {-It heals ulcers.}\n- {-It turns hair green.}\n\n{+Drink water.}",
        "Rest helps.\n\nDrink water.",
    ),
    "a lead-in that goes": ("{-Honey cures these diseases:}\n\n1. {+influenza}\n2. {+cancer}\n\n{+Rest helps.}", "Rest helps."),
    "a label is no statement": ("{-Side effects:}\n- {+Nausea is common.}", "Side effects:\n- Nausea is common."),
    "a list of exceptions": (
        "{+Rest helps.}\n\n{+You can take it unless you have:}\n- {+asthma}\n- {-kidney failure}\n\n{+Drink water.}",
        "Rest helps.\n\nDrink water.",
    ),
    "what is nested": (
        "- {-Honey heals ulcers.}\n  - {+It is given daily.}\n  - {-!See a doctor as well.}\n- {+Rest helps.}\n  - {-Sleep cures cancer.}",
        "  - See a doctor as well.\n- Rest helps.",
    ),
    "items of another mark": ("1. **Honey:**\n- {-It heals ulcers.}\n2. **Rest:**\n- {+It helps.}\n", "2. **Rest:**\n- It helps.\n"),
    "a heading of nothing": (
        "{+Rest helps.}\n\n## Honey\n{-Honey heals ulcers.}\n\n### More\n- {-Honey turns hair green.}\n\n## Water\n{+Water quenches thirst.}\n",
        "Rest helps.\n\n## Water\nWater quenches thirst.\n",
    ),
    "a table's row": (
        "| Drug | Use |\n|---|---|\n| {+Aspirin} | {+thins the blood} |\n| {+Honey} | {-heals ulcers} |\n\n{+Rest helps.}",
        "| Drug | Use |\n|---|---|\n| Aspirin | thins the blood |\n\nRest helps.",
    ),
    "a table of nothing": ("{+Rest helps.}\n\n| Drug | Use |\n|:--|--:|\n| {-Honey | heals ulcers} |\n\n{+Drink water.}", "Rest helps.\n\nDrink water."),
    "a table's header": ("| {-Cures cancer} | Dose |\n|---|---|\n| {+Honey} | {+two spoons} |\n\n{+Rest helps.}", "Rest helps."),
    "paragraphs": (
        "{-Honey heals ulcers.}\n\n{+Rest helps.}\n\n{-Hair turns green.}\n\n{+Drink water.}\n\n{-Teeth fall out.}\n",
        "Rest helps.\n\nDrink water.\n",
    ),
    "windows line breaks": ("{+Rest helps.}\r\n{-Honey heals ulcers.}\r\n{+Drink water.}\r\n", "Rest helps.\r\nDrink water.\r\n"),
    "a contrast to a paragraph": (
        "{+Metformin lowers glucose.}\n- {-Hair turns green.}\n\n{+However, it must not be used in kidney failure.}",
        "Metformin lowers glucose.\n\nHowever, it must not be used in kidney failure.",
    ),
    "a conclusion from a paragraph": ("{+Rest helps.}\n\n{-Honey heals ulcers.}\n\n{+Therefore it is given daily.}", "Rest helps."),
    "emphasis": ("**{+Rest helps.}** {-**Honey** heals ulcers.} {+Drink *water*.}", "**Rest helps.** Drink *water*."),
}


class TestCut:
    @pytest.mark.parametrize(("marked", "expected"), ENGLISH.values(), ids=ENGLISH)
    def test_english(self, marked, expected):
        assert cut(marked) == expected

    @pytest.mark.parametrize(("marked", "expected"), CHINESE.values(), ids=CHINESE)
    def test_chinese(self, marked, expected):
        assert cut(marked, language="zh") == expected

    @pytest.mark.parametrize(("marked", "expected"), LAYOUT.values(), ids=LAYOUT)
    def test_lines_lists_and_tables(self, marked, expected):
        assert cut(marked) == expected

    @pytest.mark.parametrize("kind", ["!", "%", "~"])
    def test_what_asserts_nothing_is_never_cut_for_lack_of_support(self, kind):
        assert cut(f"{{+Rest helps.}} {{-{kind}You may want to sleep more.}}") == "Rest helps. You may want to sleep more."

    def test_uncertain_claims_go_only_where_asked(self):
        marked = "{+Rest helps.} {?Honey heals ulcers.}"
        assert cut(marked) == "Rest helps. Honey heals ulcers."
        assert cut(marked, cut_uncertain=True) == "Rest helps."

    def test_what_was_removed_is_named_in_order(self):
        answer, claims = parsed("{-Honey heals ulcers.} {+Therefore it is dear.} {+Rest helps.}")
        shaped = shape(answer, claims, action="cut", keep_at_least=0.0, language="en")
        assert shaped.state == "cut"
        assert shaped.removed == tuple(claims[:2])
        assert shaped.kept == (replace(claims[2], start=0, end=11),)

    def test_what_is_kept_may_be_shaped_again(self):
        answer, claims = parsed("{-Honey heals ulcers;} {?omeprazole reduces acid.} {+Rest helps.}")
        first = shape(answer, claims, action="cut", keep_at_least=0.0, language="en")
        again = shape(first.text, first.kept, action="hedge", keep_at_least=0.0, language="en")
        assert again.text == "Omeprazole reduces acid (not certain). Rest helps."


class TestTooLittleLeft:
    FOUR = "{+Rest helps.} {+Water quenches thirst.} {+Tea soothes.} {-Honey heals ulcers.}"

    def test_a_share_of_claims(self):
        assert cut(self.FOUR, keep_at_least=0.7) == "Rest helps. Water quenches thirst. Tea soothes."
        assert cut(self.FOUR, keep_at_least=0.76) == ""

    def test_a_share_of_characters(self):
        marked = (
            "{+Rest helps.} {+Tea soothes.} {+Naps restore.} {-Honey heals ulcers, wounds, burns, coughs, colds, sores, boils and every other ailment of man.}"
        )
        assert cut(marked, keep_at_least=0.2) == "Rest helps. Tea soothes. Naps restore."
        assert cut(marked, keep_at_least=0.4) == ""

    def test_no_claim_at_all(self):
        assert cut("{+~Hello!} {-Honey heals ulcers.} {+~I hope this helps.} What else?") == ""
        assert cut("{-!Rest for a day.} {-Honey heals ulcers.}") == "Rest for a day."

    def test_abstaining_is_all_or_nothing(self):
        answer, _ = parsed(self.FOUR)
        assert cut(self.FOUR, action="abstain", keep_at_least=0.5) == answer
        assert cut(self.FOUR, action="abstain", keep_at_least=0.9) == ""
        assert cut("{+Rest helps.} {?Honey heals ulcers.}", action="abstain", keep_at_least=1.0) == "Rest helps. Honey heals ulcers."
        assert cut("{+Rest helps.} {?Honey heals ulcers.}", action="abstain", keep_at_least=1.0, cut_uncertain=True) == ""


class TestMarks:
    @pytest.mark.parametrize(
        ("action", "language", "marked", "expected"),
        [
            ("mark", "en", "{+Rest helps,} {?tea soothes,} {-and honey heals.}", "Rest helps, tea soothes [unverified], and honey heals [not supported]."),
            ("hedge", "en", "{+Rest helps,} {?tea soothes,} {-and honey heals.}", "Rest helps, tea soothes (not certain), and honey heals (doubtful)."),
            ("mark", "zh", "{+多休息有益，}{?喝茶可解乏；}{-蜂蜜可治愈溃疡。}", "多休息有益，喝茶可解乏［未核实］；蜂蜜可治愈溃疡［缺乏依据］。"),
            ("hedge", "zh", "{+多休息有益，}{?喝茶可解乏；}{-蜂蜜可治愈溃疡。}", "多休息有益，喝茶可解乏（此处不确定）；蜂蜜可治愈溃疡（此处存疑）。"),
            ("hedge", "fr", "{?Le repos aide.}", "Le repos aide (not certain)."),
            ("mark", "en", "{?Rest helps} {+and tea soothes.}", "Rest helps [unverified] and tea soothes."),
            ("mark", "en", "- {-Honey heals}\n- {+Rest helps}", "- Honey heals [not supported]\n- Rest helps"),
            ("mark", "en", "| {?Honey | heals ulcers }|\n", "| Honey | heals ulcers [unverified] |\n"),
            ("mark", "en", '{?He said "rest helps."} {+Fine.}', 'He said "rest helps." [unverified] Fine.'),
            ("mark", "en", "{?Take it b.i.d.} {+Fine.}", "Take it b.i.d. [unverified] Fine."),
            ("hedge", "en", "{-!See a doctor.} {-%Honey may heal.} {-Honey heals!}", "See a doctor. Honey may heal. Honey heals (doubtful)!"),
        ],
    )
    def test_exact(self, action, language, marked, expected):
        answer, claims = parsed(marked)
        shaped = shape(answer, claims, action=action, keep_at_least=1.0, language=language)
        assert shaped.text == expected
        assert shaped.state == "marked"
        assert shaped.removed == ()
        assert [shaped.text[claim.start : claim.end].strip() for claim in shaped.kept] == [claim.text for claim in shaped.kept]

    def test_the_harsher_word_stands_where_claims_end_together(self):
        answer = "Rest and honey heal."
        claims = [CheckedClaim(answer, 0, 20, 0.1, "unsupported", {}), CheckedClaim("honey heal.", 9, 20, 0.5, "uncertain", {})]
        assert shape(answer, claims, action="mark", keep_at_least=0.0, language="en").text == "Rest and honey heal [not supported]."


class TestRefusals:
    def test_the_call_itself(self):
        with pytest.raises(UsageError, match="'delete'"):
            shape("Rest helps.", [], action="delete", keep_at_least=0.5, language="en")  # type: ignore[arg-type]
        for share in (-0.1, 1.1, float("nan")):
            with pytest.raises(UsageError, match="keep_at_least"):
                shape("Rest helps.", [], action="cut", keep_at_least=share, language="en")

    @pytest.mark.parametrize(("start", "end", "text"), [(0, 5, "Honey"), (-1, 4, "Rest"), (0, 99, "Rest helps."), (4, 4, ""), (5, 3, "")])
    @pytest.mark.parametrize("action", ["cut", "mark"])
    def test_a_claim_of_another_answer(self, start, end, text, action):
        claim = CheckedClaim(text, start, end, 0.1, "unsupported", {})
        with pytest.raises(DataError, match="not the claim"):
            shape("Rest helps.", [claim], action=action, keep_at_least=0.0, language="en")


# Each claim has a word of its own, so that its presence can be told.
HEADS = [
    *(
        "Drug{n} lowers pressure",
        "It is taken with meal{n}",
        "Therefore dose{n} is halved",
        "However, drug{n} is dear",
        "Rash{n} is common",
        "Yes",
        "If pain{n} lasts",
    ),
    *(
        "Except in child{n}",
        "See a doctor about ache{n}",
        "not {n}",
        "“quote{n}",
        "end{n}”",
        "(see {n}",
        "{n})",
        "a{n}:",
        "药物{n}可降低血压",
        "该药可引起皮疹{n}",
    ),
    *("因此剂量{n}应减半", "但药物{n}较贵", "如有不适{n}请就医", "孕妇{n}禁用", "是的"),
]
JOINTS = [
    *(
        ". ",
        ", and ",
        "; ",
        "。",
        "，",
        "；",
        ", but ",
        "，但",
        "\n",
        "\n\n",
        "\n- ",
        "\n  - ",
        "\n1. ",
        ".\n2. ",
        "\n# ",
        " | ",
        "\n| ",
        ":\n",
        "：\n",
        "? ",
        "…",
    ),
    *("\r\n", " ", ".** **"),
]


@st.composite
def answers(draw) -> tuple[str, list[CheckedClaim]]:
    text, claims = draw(st.sampled_from(["", "- ", "# ", "| ", "\n\n", "1. "])), []
    for number in range(draw(st.integers(0, 9))):
        said = draw(st.sampled_from(HEADS)).format(n=f"{number}x")
        joint = draw(st.sampled_from(JOINTS))
        closing = joint[0] if joint[0] in ".,;。，；" and draw(st.booleans()) else ""
        if draw(st.integers(0, 5)):
            verdict, kind = draw(st.sampled_from(["supported", "uncertain", "unsupported"])), draw(st.sampled_from(["fact", "fact", "fact", "advice", "other"]))
            claims.append(CheckedClaim(said + closing, len(text), len(text) + len(said + closing), 0.5, verdict, {}, kind))
        text += said + joint
    return text, claims


class TestLaws:
    @given(given=answers(), strict=st.booleans())
    def test_cutting(self, given, strict):
        answer, claims = given
        shaped = shape(answer, claims, action="cut", keep_at_least=0.0, language="en", cut_uncertain=strict)
        accounted(answer, claims, shaped)
        lacking = {"unsupported", "uncertain"} if strict else {"unsupported"}
        for claim in claims:
            if claim.verdict in lacking and claim.kind == "fact" and not claim.text.endswith(":"):
                assert claim in shaped.removed
        for claim in shaped.removed:
            own = re.search(r"\dx", claim.text)
            assert own is None or own.group() not in shaped.text
        again = shape(shaped.text, shaped.kept, action="cut", keep_at_least=0.0, language="en", cut_uncertain=strict)
        assert (again.state, again.text) == ("whole", shaped.text)

    @given(given=answers(), action=st.sampled_from(["mark", "hedge"]), language=st.sampled_from(["en", "zh"]))
    def test_marking_only_adds_marks(self, given, action, language):
        answer, claims = given
        shaped = shape(answer, claims, action=action, keep_at_least=0.0, language=language)
        text = shaped.text
        marked = 0
        for mark in MARKS[action, language].values():
            marked += text.count(mark)
            text = text.replace(mark, "")
        assert text == answer
        assert marked <= sum(claim.verdict != "supported" for claim in claims)
        assert len(shaped.text) <= len(answer) + marked * max(map(len, MARKS[action, language].values()))
        assert [claim.verdict for claim in shaped.kept] == [claim.verdict for claim in claims]

    @given(given=answers(), action=st.sampled_from(["cut", "abstain", "mark", "hedge"]))
    def test_an_answer_with_support_is_left_alone(self, given, action):
        answer, claims = given
        claims = [replace(claim, verdict="supported") for claim in claims]
        shaped = shape(answer, claims, action=action, keep_at_least=1.0, language="en")
        assert (shaped.text, shaped.state, shaped.removed, shaped.kept) == (answer, "whole", (), tuple(claims))

    @given(text=st.text(max_size=200), seed=st.integers(0, 2**20), action=st.sampled_from(["cut", "abstain", "mark", "hedge"]))
    def test_any_text_with_the_claims_it_is_split_into(self, text, seed, action):
        claims = [
            CheckedClaim(claim.text, claim.span.start, claim.span.end, 0.5, "unsupported" if seed >> at & 1 else "supported", {}, claim.kind)
            for at, claim in enumerate(split_claims(text))
        ]
        shaped = shape(text, claims, action=action, keep_at_least=0.0, language="en")
        if action in ("cut", "abstain"):
            accounted(text, claims, shaped)

    @given(text=st.text(alphabet="aB. ,;\n-|#(“", max_size=60), spans=st.lists(st.tuples(st.integers(0, 59), st.integers(1, 60), st.booleans()), max_size=6))
    def test_claims_that_overlap_or_start_anywhere(self, text, spans):
        claims = [
            CheckedClaim(text[start:end].strip(), start, end, 0.5, "unsupported" if lacks else "supported", {})
            for start, end, lacks in spans
            if start < end <= len(text)
        ]
        shaped = shape(text, claims, action="cut", keep_at_least=0.0, language="en")
        assert len(shaped.removed) + len(shaped.kept) == len(claims)
        for claim in shaped.kept:
            assert shaped.text[claim.start : claim.end].strip() == claim.text

    def test_a_long_answer(self):
        answer = " ".join(f"Drug{n} lowers pressure, and rash{n} is common." for n in range(2000))
        claims = [
            CheckedClaim(claim.group(), claim.start(), claim.end(), 0.5, "unsupported" if at % 3 == 0 else "supported", {})
            for at, claim in enumerate(re.finditer(r"Drug\d+ lowers pressure,|and rash\d+ is common\.", answer))
        ]
        shaped = shape(answer, claims, action="cut", keep_at_least=0.0, language="en")
        accounted(answer, claims, shaped)
        assert len(shaped.kept) == len(claims) - sum(claim.verdict == "unsupported" for claim in claims)
