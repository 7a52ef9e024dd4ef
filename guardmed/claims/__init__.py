"""Claim checks that need no retrieval: split an answer, score each claim, fuse to one support."""

from guardmed.claims.check import CHECKS, CheckedClaim, check_claims, locate_claims, support_source
from guardmed.claims.split import Claim, split_claims

__all__ = ["CHECKS", "CheckedClaim", "Claim", "check_claims", "locate_claims", "split_claims", "support_source"]
