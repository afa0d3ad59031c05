"""Solvers of one daJKO step: what is solved (``problem``) and how (one module each)."""

from dajko.errors import InputError
from dajko.solvers.pd3o import PD3O
from dajko.solvers.problem import Path, Problem, Status, Step

Solver = PD3O

SOLVERS: dict[str, type[Solver]] = {"pd3o": PD3O}

__all__ = ["PD3O", "SOLVERS", "Path", "Problem", "Solver", "Status", "Step", "as_solver"]


def as_solver(given: str | Solver) -> Solver:
    """A solver from its name, with its default options, or itself.

    Raises
    ------
    InputError
        If there is no solver of that name.
    """
    if isinstance(given, str):
        if given not in SOLVERS:
            raise InputError(f"solver must be one of {', '.join(SOLVERS)}, got {given!r}")
        return SOLVERS[given]()
    if not isinstance(given, tuple(SOLVERS.values())):
        raise InputError(f"solver must be a name or one of dajko's solver objects, got {given!r}")
    return given
