from __future__ import annotations

from hypothesis import settings

# The same examples every time, and no failure because a machine is busy.
settings.register_profile("unit", deadline=None, derandomize=True)
settings.load_profile("unit")
