"""The errors GuardMed raises on purpose.

Every one names the thing that is wrong and how to mend it, and carries the exit code the command
line ends with. Anything else that escapes is a defect in GuardMed, not in its input.
"""

from __future__ import annotations

EXIT_OK = 0
EXIT_BLOCKED = 1
EXIT_USAGE = 2
EXIT_EXECUTION = 3
EXIT_INCONCLUSIVE = 4
EXIT_NOTHING_EVALUATED = 5
EXIT_INTERRUPTED = 130


class GuardMedError(Exception):
    """Base of all errors that a user can mend.

    Parameters
    ----------
    problem : str
        What is wrong, and where.
    mend : str, optional
        What to do about it.
    """

    exit_code = EXIT_EXECUTION

    def __init__(self, problem: str, *, mend: str | None = None) -> None:
        self.problem = problem
        self.mend = mend
        super().__init__(problem if mend is None else f"{problem} {mend}")


class UsageError(GuardMedError):
    """The call itself is off: an option, a name, a combination."""

    exit_code = EXIT_USAGE


class DataError(GuardMedError):
    """A records file, item set or artifact can't be used as it is."""

    exit_code = EXIT_USAGE


class PolicyError(GuardMedError):
    """A policy pack is broken or unknown."""

    exit_code = EXIT_USAGE


class ModelError(GuardMedError):
    """A model can't be found, read or trusted."""

    exit_code = EXIT_USAGE


class CalibrationError(GuardMedError):
    """Scores that can't be calibrated, or an artifact that belongs to something else."""

    exit_code = EXIT_USAGE


class ExecutionError(GuardMedError):
    """Something failed while running: a full disk, a server, a device."""

    exit_code = EXIT_EXECUTION
