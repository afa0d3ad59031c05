"""An interaction given by its values."""

from __future__ import annotations

from typing import ClassVar

from numpy.typing import ArrayLike

from dajko.energy.interaction import Interaction
from dajko.errors import InputError
from dajko.grid import Array
from dajko.validation import Matrix


class InteractionValues(Interaction, kind="values"):
    """Interaction given at the pairs of nodes of the grid.

    Parameters
    ----------
    values : sequence of sequences of float
        A symmetric matrix, one number for each pair of nodes.
    """

    label: ClassVar[str] = "a given interaction"

    values: Matrix

    def __call__(self, r: ArrayLike) -> Array:
        raise InputError("an interaction of given values is known at the points of its grid only")
