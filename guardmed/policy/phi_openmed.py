"""Identifiers found by OpenMed's rules beside GuardMed's own (the optional package ``openmed``).

Only OpenMed's deterministic safety sweep is asked: it needs no model and no network. Nothing is ever
replaced by an invented value; what is found is masked like any other identifier.
"""

from __future__ import annotations

import importlib
from typing import Any

from guardmed.errors import UsageError
from guardmed.policy.identifiers import is_published, is_service_line
from guardmed.policy.phi import Identifier, find_identifiers, longest
from guardmed.text import Span, language

# OpenMed's label to GuardMed's, where they mean the same.
_LABELS = {
    "account_number": "ACCOUNT",
    "bic": "ACCOUNT",
    "chinese_passport": "PASSPORT",
    "credit_card": "ACCOUNT",
    "credit_debit_card": "ACCOUNT",
    "date": "DATE",
    "date_of_birth": "DATE_OF_BIRTH",
    "email": "EMAIL",
    "home_return_permit": "TRAVEL_PERMIT",
    "iban": "ACCOUNT",
    "ipv4": "IP_ADDRESS",
    "ipv6": "IP_ADDRESS",
    "mac_address": "DEVICE_ID",
    "medical_record_number": "MRN",
    "passport_mrz": "PASSPORT",
    "person": "NAME",
    "phone_number": "PHONE",
    "postcode": "ADDRESS",
    "ssn": "SSN",
    "street_address": "ADDRESS",
    "taiwan_compatriot_permit": "TRAVEL_PERMIT",
    "url": "URL",
}
# A dose, "our clinic" and a people identify nobody.
_NO_IDENTIFIERS = frozenset({"quantity", "organization", "ethnicity"})


def find_identifiers_openmed(text: str, *, min_confidence: float = 0.5) -> list[Identifier]:
    """Identifiers that GuardMed's or OpenMed's rules find, without overlaps (the longer wins), in order.

    Parameters
    ----------
    text : str
    min_confidence : float
        OpenMed's confidence below which one of its findings is dropped; 0.5 is its own default.

    Returns
    -------
    list of Identifier
        Labels that both know are GuardMed's; any other is OpenMed's in upper case.

    Raises
    ------
    UsageError
        The package ``openmed`` is not installed.

    Notes
    -----
    Help lines, toll-free numbers and what is said to be a clinic's stay, whoever finds them. The sweep
    finds every date and web address, also those that identify nobody.
    """
    own = find_identifiers(text)
    swept = [_mapped(entity) for entity in _sweep()(text, [], lang="zh" if language(text) == "zh" else "en") if _kept(entity, text, min_confidence)]
    return longest([*own, *swept])


def _sweep() -> Any:
    try:
        return importlib.import_module("openmed.core.safety_sweep").safety_sweep
    except ModuleNotFoundError as error:
        raise UsageError(
            f"OpenMed's rules were asked for, but the package {error.name} is not installed.", mend='Install it: pip install "guardmed[openmed]"'
        ) from error


def _kept(entity: Any, text: str, min_confidence: float) -> bool:
    if entity.label.lower() in _NO_IDENTIFIERS or entity.confidence < min_confidence or entity.start >= entity.end:
        return False
    if entity.label != "phone_number":
        return True
    return not is_service_line(text[entity.start : entity.end]) and not is_published(text, entity.start)


def _mapped(entity: Any) -> Identifier:
    return Identifier(_LABELS.get(entity.label.lower(), entity.label.upper()), Span(entity.start, entity.end))
