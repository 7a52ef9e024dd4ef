"""Pages and plots shared by every report."""

from guardmed.reporting.page import Block, Cell, Page, Plot, Prose, Section, Table, Tone, Verdict

__all__ = ["Block", "Cell", "Page", "Plot", "Prose", "Section", "Table", "Tone", "Verdict"]
