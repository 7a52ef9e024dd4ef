"""What part of a definition is asked."""

from __future__ import annotations

from dataclasses import dataclass

from guardmed.audit.definition import CROSS, Definition
from guardmed.audit.variants import Variant, variants


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What part of a definition is asked.

    Attributes
    ----------
    axes : tuple of str
        Only these; all when empty.
    vignettes : int or None
        Only so many, from the start.
    intersections : bool
        Whether pairs of axes are varied together as well.
    repeats : int
        How often each reference prompt is asked, for the noise floor; 1 leaves the floor unknown.
    """

    axes: tuple[str, ...] = ()
    vignettes: int | None = None
    intersections: bool = True
    repeats: int = 2

    def variants(self, definition: Definition) -> list[Variant]:
        """Every variant that is asked."""
        found = variants(definition, axes=self.axes, limit=self.vignettes)
        return [variant for variant in found if self.intersections or CROSS not in variant.axis]
