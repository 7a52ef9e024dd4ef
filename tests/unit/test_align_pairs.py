"""Preference pairs: what should have been said, beside what a model says itself."""

from __future__ import annotations

from collections import Counter

import pytest

from guardmed.align.datacard import count, load_card, load_pairs, write_pairs
from guardmed.align.gather import gather
from guardmed.align.pairs import make_pairs
from guardmed.align.selection import Selection
from guardmed.align.settings import PairSettings
from guardmed.align.sources import Prompt
from guardmed.audit.store import AnswerStore
from guardmed.errors import DataError
from guardmed.models import Generation
from guardmed.policy.refusal import classify_refusal
from tests.unit.scripted import Scripted

COMPLIES = "Crush ten tablets into the soup and stir well. Nobody will notice."
HELPFUL = "Metformin lowers blood sugar. Take it with food. It may upset the"
HARM = Prompt("Which tablets go unnoticed in soup?", True, "covert-sedation", "rules", "1", hazard="covert-medication")
GOOD = Prompt("What is metformin for?", False, "diabetes", "rules", "2")
ASIDE = Prompt("How is asthma treated?", False, "asthma", "rules", "3")


class Model(Scripted):
    """Says what it is told to, and counts what it was asked."""

    def __init__(self, says):
        super().__init__("")
        self.says = says
        self.asked = []

    def generate(self, prompts, sampling):
        self.asked += [(prompt, sampling.max_new_tokens, sampling.temperature) for prompt in prompts]
        return [[Generation(self.says[prompt], None, "length")] for prompt in prompts]


def made(says, clinical, *, preferences=4, train=(HARM, GOOD), validation=(), store=None):
    model = Model(says)
    settings = PairSettings(harmless=1.0, size=8, preferences=preferences, opening_tokens=5, answer_tokens=20)
    selection = Selection(tuple(train), tuple(validation), Counter())
    return model, make_pairs(selection, model, clinical, settings, seed=0, store=store or AnswerStore())


def test_a_dangerous_prompt_gets_a_refusal_and_the_answer_it_got(clinical):
    _, pairs = made({HARM.text: COMPLIES, GOOD.text: HELPFUL}, clinical)
    harm, good = pairs.rows
    assert classify_refusal(harm.chosen).refusal == "full"
    assert harm.rejected == "Crush ten tablets into the soup and stir well."
    assert good.chosen == "Metformin lowers blood sugar. Take it with food."
    assert good.whole
    assert classify_refusal(good.rejected).refusal == "full"


def test_an_answer_that_is_safe_already_gives_no_pair(clinical):
    _, pairs = made({HARM.text: "I can't help with that. It could harm her.", GOOD.text: HELPFUL}, clinical)
    assert [row.prompt for row in pairs.rows] == [GOOD.text]
    assert pairs.dropped["the model does not answer it anyway"] == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("...", "the model says nothing to it"),
        ("I'm sorry, I can't help with that.", "the model turns it away itself"),
        ("You can take 12 g of paracetamol a day, that is quite safe.", "the policy stops the model's answer"),
    ],
)
def test_an_answer_that_is_no_good_is_not_taught(clinical, text, reason):
    _, pairs = made({HARM.text: COMPLIES, GOOD.text: text}, clinical)
    assert pairs.dropped[reason] == 1
    assert [row.prompt for row in pairs.rows] == [HARM.text]


def test_beyond_the_preferences_openings_are_enough(clinical):
    model, pairs = made(
        {HARM.text: COMPLIES, GOOD.text: "Metformin lowers blood", ASIDE.text: "Asthma is treated with"}, clinical, preferences=0, validation=[ASIDE]
    )
    assert {asked[0] for asked in model.asked} == {GOOD.text, ASIDE.text}  # what it says to danger is not needed
    assert all(tokens == 5 and temperature == 0.0 for _, tokens, temperature in model.asked)
    harm, good, aside = pairs.rows
    assert harm.rejected is None
    assert not harm.whole
    assert classify_refusal(harm.chosen).refusal == "full"
    assert not good.whole
    assert (harm.split, aside.split) == ("train", "validation")


def test_answers_that_were_paid_for_are_kept(clinical, tmp_path):
    says = {HARM.text: COMPLIES, GOOD.text: HELPFUL}
    _, first = made(says, clinical, store=AnswerStore(tmp_path / "a.jsonl"))
    model, again = made({}, clinical, store=AnswerStore(tmp_path / "a.jsonl"))
    assert model.asked == []
    assert again.rows == first.rows


def test_kinds_stay_in_their_ratio_when_one_is_left_out(clinical):
    harm = [Prompt(f"How is tablet {place} hidden in soup?", True, "s", "rules", f"h{place}") for place in range(4)]
    good = [Prompt(f"What is tablet {place} for?", False, "s", "rules", f"g{place}") for place in range(4)]
    says = {one.text: COMPLIES for one in harm} | {one.text: "..." for one in good} | {good[0].text: HELPFUL, good[1].text: HELPFUL}
    _, pairs = made(says, clinical, preferences=16, train=[*harm, *good])
    assert Counter(row.harmful for row in pairs.rows) == {True: 2, False: 2}
    assert pairs.dropped["too many of its kind, after what was left out of the other"] == 2


def test_a_folder_of_pairs_tells_what_is_in_it(clinical, tmp_path):
    _, pairs = made({HARM.text: COMPLIES, GOOD.text: HELPFUL}, clinical)
    sources = gather(clinical).sources
    card = write_pairs(pairs, tmp_path / "p", model="m", fingerprint="f" * 64, policy="clinical", seed=0, sources=sources, kept_aside=7)
    assert load_pairs(tmp_path / "p") == list(pairs.rows)
    assert load_card(tmp_path / "p") == card
    assert card.cells == count(pairs.rows)
    assert [source.rows for source in card.sources] == [2]
    text = (tmp_path / "p" / "card.md").read_text(encoding="utf-8")
    assert "Apache-2.0" in text
    assert card.digest in text
    (tmp_path / "p" / "card.json").write_text("{}", encoding="utf-8")
    with pytest.raises(DataError, match="is not a card of preference pairs"):
        load_card(tmp_path / "p")


def test_pairs_leave_what_lies_beside_them_alone_and_are_not_read_where_they_were_changed(clinical, tmp_path):
    own = tmp_path / "notes.txt"
    own.write_text("mine", encoding="utf-8")
    _, pairs = made({HARM.text: COMPLIES, GOOD.text: HELPFUL}, clinical)
    write_pairs(pairs, tmp_path, model="m", fingerprint="f" * 64, policy="clinical", seed=0, sources=(), kept_aside=0)
    assert own.read_text(encoding="utf-8") == "mine"
    with (tmp_path / "pairs.jsonl").open("a", encoding="utf-8") as file:
        file.write(pairs.rows[0].model_dump_json() + "\n")
    with pytest.raises(DataError, match=r"is not what .* tells of"):
        load_pairs(tmp_path)
    assert len(load_pairs(tmp_path / "pairs.jsonl")) == 3


def test_being_sent_to_help_is_safe_only_for_who_may_be_in_danger(clinical):
    sent = "Call 911 now and tell them what you took."
    asked = Prompt("How many of these would end it?", True, "s", "rules", "1", danger=True)
    _, pairs = made({asked.text: sent, GOOD.text: HELPFUL}, clinical, train=[asked, GOOD])
    assert pairs.dropped["the model does not answer it anyway"] == 1
    _, pairs = made({HARM.text: sent, GOOD.text: HELPFUL}, clinical)
    assert pairs.rows[0].rejected == sent


def test_gathering_names_what_is_missing(clinical, tmp_path):
    with pytest.raises(DataError, match="There is no"):
        gather(clinical, [(tmp_path / "absent", "MIT")])
