"""Clinical named entities: span-exact F1 of what a model lists, or of predictions already made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from guardmed.errors import DataError
from guardmed.evaluate.asking import Asking
from guardmed.evaluate.figures import Counts, rate
from guardmed.evaluate.mentions import STOPS, locate, prompt, read
from guardmed.evaluate.results import Scored
from guardmed.evaluate.selection import NotInLanguage, Selection, written
from guardmed.evaluate.spans import Entity, Sentence, read_sentences

USUAL = 12
TOKENS = 48


def load(selection: Selection) -> list[Sentence]:
    """The sentences of one language.

    Raises
    ------
    DataError
        The file can't be read, a row does not fit, or none is in the language.
    """
    every = read_sentences(written("ner", selection.language) if selection.data is None else selection.data)
    return selection.spoken(every, lambda one: one.language, "sentence")


@dataclass(frozen=True)
class Entities:
    """Which entities stand where."""

    selection: Selection
    sentences: tuple[Sentence, ...]
    labels: tuple[str, ...]
    name = "ner"

    @classmethod
    def of(cls, selection: Selection, *, usual: int = USUAL) -> Entities:
        """The suite over a selection, of ``usual`` sentences where it names no number; labels are those of the whole file."""
        every = load(selection)
        return cls(selection, tuple(selection.drawn(every, usual)), tuple(sorted({entity.label for one in every for entity in one.entities})))

    @property
    def size(self) -> int:
        """Answers it takes."""
        return len(self.sentences)

    def run(self, asking: Asking) -> Scored:
        """Ask for lists of entities, and score those that stand in the text; an entity that doesn't counts as a wrong one."""
        tokens = self.selection.tokens(TOKENS)
        answers = asking.answers([prompt(one.text, self.labels, self.selection.language) for one in self.sentences], max_new_tokens=tokens, stop=STOPS)
        located = [locate(one.text, [] if answer.stopped else read(answer.text, self.labels)) for one, answer in zip(self.sentences, answers, strict=True)]
        scored = self.score(asking.system.name, [entities for entities, _ in located], [invented for _, invented in located])
        said = sum(len(entities) + len(invented) for entities, invented in located)
        made_up = sum(len(invented) for _, invented in located)
        notes = [f"{made_up} of {said} entities named do not stand in the text; they count as wrong."] if made_up else []
        unread = sum(not (entities or invented) for entities, invented in located)
        notes += [f"No entity could be read in {unread} of {len(answers)} answers."] if unread else []
        figures = dict(scored.result.figures)
        if asking.guard is not None:
            figures["answered"] = rate([not answer.stopped for answer in answers])
        rows = [row | {"response": answer.text} for row, answer in zip(scored.rows, answers, strict=True)]
        return Scored(scored.result.model_copy(update={"notes": tuple(notes), "figures": figures, "settings": {"max_new_tokens": tokens}}), rows)

    def predicted(self, predictions: Sequence[Sentence], *, source: str, system: str) -> Scored:
        """Score predictions, joined by id.

        Parameters
        ----------
        predictions : sequence of Sentence
            Of :func:`guardmed.evaluate.spans.read_sentences`; more than the suite's is no harm.
        source : str
            Where they come from, for messages.

        Raises
        ------
        NotInLanguage
            None is for a sentence of the set.
        DataError
            A sentence has none, or two.
        """
        wanted = {one.id for one in self.sentences}
        mine = [one for one in predictions if one.id in wanted]
        found = {one.id: one for one in mine}
        if not found:
            raise NotInLanguage(f"{source} holds no prediction for {self.selection.source} in {self.selection.language}.", mend="Give those of the same file.")
        if len(found) < len(mine):
            twice = next(one.id for place, one in enumerate(mine) if one.id in {other.id for other in mine[:place]})
            raise DataError(f"{source}: {twice!r} stands twice.", mend="Give one row for each sentence.")
        missing = [one.id for one in self.sentences if one.id not in found]
        if missing:
            problem = f"{source} lacks {len(missing)} of {len(wanted)} sentences, {missing[0]!r} first."
            raise DataError(problem, mend="Give a row for each, even if nothing was found.")
        return self.score(system, [found[one.id].entities for one in self.sentences], [()] * len(self.sentences))

    def score(self, system: str, found: Sequence[Sequence[Entity]], invented: Sequence[Sequence[tuple[str, str]]]) -> Scored:
        """Figures of entities found in each sentence; what was invented has no place, so it matches nothing."""
        gold = [_by_label(one.entities) for one in self.sentences]
        said = [
            {label: members | {(-1, words) for other, words in made_up if other == label} for label, members in _by_label(entities, also=made_up).items()}
            for entities, made_up in zip(found, invented, strict=True)
        ]
        counts = Counts.of(gold, said)
        seed = self.selection.seed
        detail = f"precision {counts.precision:.3f}, recall {counts.recall:.3f}"
        result = self.selection.result(
            "ner",
            system,
            n=len(self.sentences),
            asked=[[one.id, one.text, [[e.start, e.end, e.label] for e in one.entities]] for one in self.sentences],
            figures={"micro_f1": counts.micro(seed=seed, detail=detail, controls=controls(self.sentences)), "macro_f1": counts.macro(seed=seed)},
            parts=counts.by_label(seed=seed),
        )
        rows = [
            {
                "item": one.id,
                "text": one.text,
                "gold": [[e.start, e.end, e.label] for e in one.entities],
                "found": [[e.start, e.end, e.label] for e in entities],
                "invented": [list(pair) for pair in made_up],
            }
            for one, entities, made_up in zip(self.sentences, found, invented, strict=True)
        ]
        return Scored(result, rows)


def controls(sentences: Sequence[Sentence]) -> dict[str, float]:
    """F1 of what knows nothing: the words that are an entity in another sentence of the set, wherever they stand.

    A dictionary made of all sentences but the one that is read.
    """
    words: dict[tuple[str, str], set[str]] = {}
    for one in sentences:
        for entity in one.entities:
            words.setdefault((entity.label, one.text[entity.start : entity.end]), set()).add(one.id)
    known = []
    for one in sentences:
        there = [(pair, one.text.count(pair[1])) for pair, where in words.items() if pair[1] in one.text and where - {one.id}]
        known.append(_by_label(locate(one.text, [pair for pair, times in there for _ in range(times)])[0]))
    gold = [_by_label(one.entities) for one in sentences]
    return {"dictionary of the other sentences": Counts.of(gold, known).micro(seed=0).value}


def _by_label(entities: Sequence[Entity], *, also: Sequence[tuple[str, str]] = ()) -> Mapping[str, set[tuple[int, int | str]]]:
    out: dict[str, set[tuple[int, int | str]]] = {label: set() for label, _ in also}
    for entity in entities:
        out.setdefault(entity.label, set()).add((entity.start, entity.end))
    return out
