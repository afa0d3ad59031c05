"""What is measured of a density: observations, a kind each module.

Every observation is either linear, ``B(u) = sum_j wx_j f(x_j) u_j``, or one of three smooth functions of the moments
``M = int u``, ``B1 = int x u`` and ``int x^2 u``. Its gradient in the weighted inner product of space is ``f``, or a
quadratic polynomial in x.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

from dajko.checks import shown
from dajko.errors import InputError
from dajko.grid import Array, Grid, checked_grid
from dajko.ingredient import Ingredient

# The formulas that kernels know.
LINEAR, VARIANCE, MEAN, SPREAD, QUADRATIC = range(5)


class Observation(Ingredient, family="observation"):
    """One measurement, giving one number or several.

    A new linear measurement is a subclass with :meth:`footprints`; a nonlinear one also needs a formula of its own in the
    kernels of :mod:`dajko.data.operator`.
    """

    formula: ClassVar[int] = LINEAR

    @property
    def labels(self) -> list[str]:
        """A name for each number that is measured."""
        return [self.kind]

    def footprints(self, grid: Grid) -> Array:
        """Functions f of a linear observation at the nodes, shape ``(numbers, points)``; zeros for a nonlinear one.

        Raises
        ------
        InputError
            If the observation does not fit the grid.
        """
        return np.zeros((1, checked_grid(grid).points))

    def scale(self, density: Array, exact: Array, grid: Grid) -> Array:
        """Size of the signal, which a relative noise level refers to: by default the magnitude of what is measured.

        Parameters
        ----------
        density : array of shape (times, points)
            True densities.
        exact : array of shape (times, numbers)
            What this observation gives for them.

        Returns
        -------
        array of shape (times,)
            Size of the signal at each time.
        """
        return np.asarray(np.sqrt(np.mean(exact**2, axis=1)))


def width(density: Array, grid: Grid) -> tuple[Array, Array]:
    """Width and mass of densities of shape ``(times, points)``; what depends on the origin has its size from them."""
    mass = grid.integrate(density)
    mean = grid.integrate(grid.x * density) / mass
    return np.sqrt(grid.integrate((grid.x - mean[:, None]) ** 2 * density) / mass), mass


def as_observation(given: Any) -> Observation:
    """An observation from its kind, if that needs no options, or itself.

    Raises
    ------
    InputError
        If there is no observation of that kind.
    """
    if isinstance(given, Observation):
        return given
    if not isinstance(given, str):
        kinds = ", ".join(Observation.kinds())
        raise InputError(f"observations must be of the kinds {kinds}, or objects such as Mean(), got {shown(given)}")
    try:
        return Observation.of_kind(given)()
    except InputError as error:
        raise InputError(f"observations: {error}") from None


def as_observations(given: str | Observation | Iterable[str | Observation]) -> tuple[Observation, ...]:
    """Observations from their kinds or themselves; of one, a tuple with it alone.

    Raises
    ------
    InputError
        If one of them is none.
    """
    if isinstance(given, str | Observation):
        return (as_observation(given),)
    try:
        return tuple(as_observation(one) for one in given)
    except TypeError:  # it is nothing that has items
        raise InputError(f"observations must be a list of kinds or objects, got {shown(given)}") from None


def labels(observations: Iterable[str | Observation]) -> list[str]:
    """The name of each measured number, in the order of the observations."""
    return [label for o in observations for label in as_observation(o).labels]
