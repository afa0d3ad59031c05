"""How solves end, from good to bad: the one word for it in steps, stores, reports and on the terminal."""

from __future__ import annotations

import enum
from typing import Any

import numpy as np

from dajko.checks import shown
from dajko.errors import InputError


class Status(enum.IntEnum):
    """How a solve ended, from good to bad. The value 0 is kept for cells of a study that have not been computed yet."""

    PENDING = 0
    CONVERGED = 1
    FALLBACK = 2
    NOT_CONVERGED = 3
    FAILED = 4

    @classmethod
    def _missing_(cls, value: object) -> Status:
        raise InputError(f"status must be one of {', '.join(f'{s.value} ({s.name})' for s in cls)}, got {shown(value)}")

    @property
    def message(self) -> str:
        """A sentence that says what happened and what can be done."""
        return _MESSAGES[self]

    @property
    def usable(self) -> bool:
        """Whether there is a result that met the stopping rule of the solver that made it."""
        return self in (Status.CONVERGED, Status.FALLBACK)

    @staticmethod
    def flags() -> dict[str, Any]:
        """CF attributes of a variable that holds statuses."""
        return {
            "flag_values": np.array(list(Status), dtype=np.int8),
            "flag_meanings": " ".join(s.name.lower() for s in Status),
        }


_MESSAGES = {
    Status.PENDING: "not computed yet",
    Status.CONVERGED: "converged",
    Status.FALLBACK: "interior_point did not converge, and pd3o did in its place",
    Status.NOT_CONVERGED: "the iteration limit was reached before the stopping rule was met; raise "
    "solver.max_iterations, loosen solver.tol, or enlarge theta",
    Status.FAILED: "the iterates stopped being finite numbers; check the energy and the data, or take smaller solver steps",
}
