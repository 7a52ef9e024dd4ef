"""Reads policy packs from YAML, with errors that name the file, the line or the rule."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from guardmed.documents import read_yaml
from guardmed.errors import PolicyError
from guardmed.files import digest_value
from guardmed.intent import IntentModel
from guardmed.policy.limits import DoseLimits
from guardmed.policy.packs import named, pack_folder, read_manifest, shared_folder
from guardmed.policy.pinyin import PinyinTable
from guardmed.policy.schema import Contacts, Language, Manifest, Rule, RuleFile, Severity, Terms
from guardmed.policy.spelling import Speller


@dataclass(frozen=True)
class Pack:
    """A policy pack as it was read.

    Attributes
    ----------
    manifest : Manifest
    rules : tuple of Rule
    terms : dict of str to list of str
        Word lists for phrases.
    contacts : Contacts
    limits : DoseLimits or None
    intent : IntentModel or None
    pinyin : PinyinTable or None
    speller : Speller or None
    folder : Path
    doubt : dict of language to float, or None
        The manifest's own: a pack that extends another doubts only if it says so.
    """

    manifest: Manifest
    rules: tuple[Rule, ...]
    terms: dict[str, list[str]]
    contacts: Contacts
    limits: DoseLimits | None
    intent: IntentModel | None
    pinyin: PinyinTable | None
    speller: Speller | None
    folder: Path
    doubt: dict[Language, float] | None = None

    @property
    def digest(self) -> str:
        """SHA-256 over everything that decides: rules, word lists, contacts and limits."""
        return digest_value(
            {
                "rules": [rule.model_dump(mode="json") for rule in self.rules],
                "terms": self.terms,
                "contacts": self.contacts.model_dump(mode="json"),
                "doubt": self.doubt,
                "intent": self.intent.digest if self.intent else None,
                "pinyin": self.pinyin.digest if self.pinyin else None,
                "words": self.speller.digest if self.speller else None,
                "limits": self.limits.model_dump(mode="json") if self.limits else None,
            }
        )


def load_packs(spec: str) -> list[Pack]:
    """Packs named by a comma-separated list of names or folders.

    Raises
    ------
    PolicyError
        An unknown name, or a pack that can't be read.
    """
    return [load_pack(name) for name in named(spec)]


def load_pack(name: str | Path) -> Pack:
    """Read one pack by its name, or by the path of its folder.

    Raises
    ------
    PolicyError
        It does not exist, is not valid YAML, or does not fit the schema.
    """
    folder = pack_folder(name)
    manifest = read_manifest(folder)
    base = _base(manifest, folder)
    files = sorted((folder / "rules").glob("*.yaml"))
    rules = (*_changed(manifest, base), *(rule for file in files for rule in read_yaml(file, RuleFile, error=PolicyError).rules))
    if not rules:
        raise PolicyError(f"The pack {folder} has no rules.", mend="Put YAML files into its rules/ folder.")
    _unique(rules, folder)
    shared = shared_folder(manifest)
    contacts = read_yaml(_own_or(folder, shared, "contacts.yaml"), Contacts, error=PolicyError)
    for rule in rules:
        if rule.escalate_to and rule.escalate_to not in contacts.contacts:
            raise PolicyError(
                f"{folder}: rule {rule.id} escalates to {rule.escalate_to!r}, which contacts.yaml does not list.",
                mend=f"Known: {', '.join(sorted(contacts.contacts))}.",
            )
    limits_file, intent_file, pinyin_file, words_file = (
        _own_or(folder, shared, name) for name in ("dose_limits.yaml", "intent.npz", "pinyin.tsv.gz", "words.tsv.gz")
    )
    return Pack(
        manifest=manifest,
        rules=rules,
        terms=_terms(folder, shared),
        contacts=contacts,
        limits=read_yaml(limits_file, DoseLimits, error=PolicyError) if limits_file.is_file() else None,
        intent=IntentModel(intent_file) if intent_file.is_file() else None,
        pinyin=PinyinTable(pinyin_file) if pinyin_file.is_file() else None,
        speller=Speller(words_file) if words_file.is_file() else None,
        folder=folder,
        doubt=manifest.doubt,
    )


def _base(manifest: Manifest, folder: Path) -> Pack | None:
    if manifest.extends is None:
        if manifest.changes:
            raise PolicyError(f"{folder / 'pack.yaml'} changes rules but extends no pack.", mend="Say which: extends: clinical.")
        return None
    if manifest.extends == folder.name:
        raise PolicyError(f"{folder / 'pack.yaml'} extends itself.", mend="Name another pack.")
    base = load_pack(manifest.extends)
    if base.manifest.extends:
        raise PolicyError(f"{folder / 'pack.yaml'} extends {base.manifest.id}, which extends another.", mend=f"Extend {base.manifest.extends}.")
    return base


def _changed(manifest: Manifest, base: Pack | None) -> tuple[Rule, ...]:
    """The rules taken over, some with another action and their own words for it.

    Raises
    ------
    PolicyError
        A change names a rule that is not there or is critical.
    """
    rules = {rule.id: rule for rule in base.rules} if base else {}
    for change in manifest.changes:
        rule = rules.get(change.rule)
        if rule is None:
            raise PolicyError(f"The pack {manifest.id} changes {change.rule!r}, which {manifest.extends} does not have.", mend="Correct the id.")
        if rule.severity is Severity.CRITICAL:
            raise PolicyError(f"The pack {manifest.id} changes {change.rule!r}, which is critical.", mend="Critical rules are the same in every pack.")
        rules[change.rule] = Rule.model_validate(rule.model_dump() | {"action": change.action, "template": change.reason})
    return tuple(rules.values())


def _own_or(folder: Path, shared: Path, name: str) -> Path:
    """A pack's own file, else that of the pack it builds on."""
    own = folder / name
    return own if own.exists() else shared / name


def _terms(folder: Path, shared: Path) -> dict[str, list[str]]:
    """Word lists of both ``terms`` folders; a list may not stand in two files."""
    terms: dict[str, list[str]] = {}
    for file in dict.fromkeys([*sorted((shared / "terms").glob("*.yaml")), *sorted((folder / "terms").glob("*.yaml"))]):
        more = read_yaml(file, Terms, error=PolicyError).merged()
        twice = sorted(set(terms) & set(more))
        if twice:
            raise PolicyError(f"{file}: the word list {twice[0]!r} stands in another file too.", mend="Keep one of them.")
        terms.update(more)
    return terms


def _unique(rules: tuple[Rule, ...], folder: Path) -> None:
    seen: set[str] = set()
    for rule in rules:
        if rule.id in seen:
            raise PolicyError(f"{folder}: two rules have the id {rule.id!r}.", mend="Rename one.")
        seen.add(rule.id)
