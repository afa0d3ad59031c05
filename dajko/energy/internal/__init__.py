"""Internal energies U of (1.6): a kind each module."""

from __future__ import annotations

from abc import abstractmethod

from dajko.ingredient import Ingredient

# The exponents m by which kernels know the power family of (5.3): u^m / (m - 1), u log u for m = 1, and nothing for m = 0.
NO_INTERNAL_ENERGY, ENTROPY_EXPONENT = 0.0, 1.0
# A power of the density with an exponent below this has an unbounded second derivative at 0.
LEAST_SMOOTH_EXPONENT = 2.0
# Powers beyond this are so steep that a Newton step may meet a slope of any size; solvers take care of them.
STIFF_EXPONENT = 4.0


class InternalEnergy(Ingredient, family="internal energy"):
    """An internal energy ``int U(u) dx``."""

    @property
    @abstractmethod
    def exponent(self) -> float:
        """The exponent that tells kernels which internal energy this is."""
