"""Pages and plots shared by every report."""

from guardmed.reporting.page import Block, Cell, Code, Page, Plot, Points, Prose, Section, SideBySide, Table, Tone, Verdict

__all__ = ["Block", "Cell", "Code", "Page", "Plot", "Points", "Prose", "Section", "SideBySide", "Table", "Tone", "Verdict"]
