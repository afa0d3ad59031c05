"""What one daJKO step is: the discrete problem, its objective, and what a solver returns.

With ``rho_0`` prescribed, the step minimises over densities ``rho[k, j]`` and fluxes ``m[k, j]`` on the space-time grid::

    action(rho, m)  +  tau E_h(rho_nt),      E_h = F_h + |B_h - v|^2 / (2 theta)

subject to the continuity equation without flux at the ends, (4.3)-(4.6), as :mod:`dajko.transport` has them. The action, of
``m^2 / (2 rho)``, is half the squared Wasserstein distance, and the objective that of the implicit Euler step of ``du/dt =
div(u grad dE/du)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from dajko._numba import kernel, sum_kernel
from dajko.checks import instance, number
from dajko.data.data_term import DataTerm
from dajko.data.operator import Operator, add_gradient, observe, operator
from dajko.energy.energy import Energy
from dajko.energy.kernels import internal, internal_slope
from dajko.energy.on_grid import GridInteraction, add_mean_field
from dajko.grid import Array, Grid, checked_grid
from dajko.quadrature import weighted_product
from dajko.status import Status
from dajko.transport import transport


class Objective(NamedTuple):
    """The energy ``E_h`` of a step on a grid, as kernels read it."""

    exponent: float
    potential: Array  # (points,)
    operator: Operator
    data: Array  # (numbers,)
    inverse_theta: float  # 0 without data
    interaction: Array  # (points, points), W_ij wx_j; (0, 0) without interaction


@kernel
def energy_value(objective: Objective, u: Array, misfit: Array, mean_field: Array) -> float:
    """``E_h(u)``.

    ``misfit``, shape ``(numbers,)``, receives ``B_h(u) - v``, and ``mean_field``, shape ``(points,)``, the sum of potential
    and interaction ``V + W * u``.
    """
    wx = objective.operator.wx
    total = _local_energy(wx, u, objective.exponent, objective.potential)
    mean_field[:] = 0.0
    if objective.interaction.size > 0:
        add_mean_field(objective.interaction, u, mean_field)
        total += 0.5 * weighted_product(wx, u, mean_field)
    for j in range(u.size):
        mean_field[j] += objective.potential[j]
    if objective.data.size > 0:
        observe(objective.operator, u, misfit)
        for i in range(misfit.size):
            misfit[i] -= objective.data[i]
            total += 0.5 * objective.inverse_theta * misfit[i] ** 2
    return total


@sum_kernel
def _local_energy(wx: Array, u: Array, exponent: float, potential: Array) -> float:
    """Internal and potential energy."""
    total = 0.0
    for j in range(u.size):
        total += wx[j] * (internal(u[j], exponent) + potential[j] * u[j])
    return total


@kernel
def energy_gradient(
    objective: Objective, u: Array, misfit: Array, mean_field: Array, with_internal: bool, with_data: bool, out: Array
) -> None:
    """Gradient of ``E_h`` at ``u`` in the weighted inner product of space, with or without two of its parts.

    ``misfit`` and ``mean_field`` are what :func:`energy_value` left there.
    """
    for j in range(u.size):
        out[j] = mean_field[j]
    if with_internal:
        for j in range(u.size):
            out[j] += internal_slope(u[j], objective.exponent)
    if with_data and misfit.size > 0:
        add_gradient(objective.operator, u, misfit * objective.inverse_theta, out)


@dataclass(frozen=True, eq=False)
class Problem:
    """One daJKO step on a grid, checked.

    Parameters
    ----------
    density : array of shape (points,)
        Previous density: finite, nonnegative, of positive mass.
    energy : Energy
    grid : Grid
    tau : float
        Time step, greater than 0.
    data : DataTerm or None
    time_scheme : str
        By what solvers that can do more than a JKO step go on from the steps before, which their warm start tells them.

    Raises
    ------
    InputError
        If one of them cannot be used.
    """

    density: ArrayLike
    energy: Energy
    grid: Grid
    tau: float
    data: DataTerm | None = None
    time_scheme: str = "euler"

    def __post_init__(self) -> None:
        object.__setattr__(self, "density", checked_grid(self.grid).check_density(self.density))
        instance("energy", self.energy, Energy, "a dajko.Energy")
        object.__setattr__(self, "tau", number("tau", self.tau, above=0.0))
        if self.data is not None:
            _ = instance("data", self.data, DataTerm, "a dajko.DataTerm or None").row

    @classmethod
    def unchecked(
        cls, density: Array, energy: Energy, grid: Grid, tau: float, data: DataTerm | None, time_scheme: str
    ) -> Problem:
        """The problem of a later step: what a solver left behind is no input, and whatever it is, no bad one."""
        made = object.__new__(cls)
        given = {"density": density, "energy": energy, "grid": grid, "tau": tau, "data": data, "time_scheme": time_scheme}
        for name, value in given.items():
            object.__setattr__(made, name, value)
        return made

    @property
    def initial(self) -> Array:
        """The previous density as an array."""
        return np.asarray(self.density)

    @cached_property
    def objective(self) -> Objective:
        """The energy ``E_h`` for kernels."""
        data = None if self.data is None else self.data.at_step(0)
        return Objective(
            self.energy.exponent,
            self.energy.potential_on(self.grid),
            operator(() if data is None else data.observations, self.grid),
            np.zeros(0) if data is None else np.asarray(data.values, dtype=np.float64),
            0.0 if data is None else 1.0 / float(data.theta),
            np.zeros((0, 0)) if self.interaction is None else self.interaction.weighted,
        )

    @cached_property
    def interaction(self) -> GridInteraction | None:
        """The interaction between the nodes, None without one."""
        return self.energy.interaction_on(self.grid)

    @property
    def interaction_is_convex(self) -> bool:
        """Whether the interaction, if there is one, is convex on densities of one mass, up to rounding."""
        return self.interaction is None or self.interaction.is_convex

    def combined_energy(self, density: ArrayLike) -> float:
        """``E_h`` of section 4.2, data term included, without the factor tau."""
        u = np.ascontiguousarray(density, dtype=np.float64)
        return float(energy_value(self.objective, u, np.empty(self.objective.data.size), np.empty(u.size)))

    @property
    def at_rest(self) -> Path:
        """The old density at all levels, with no flux: feasible, and where every solver may begin."""
        return Path(*transport(self.grid).at_rest(self.initial))

    def value(self, path: Path) -> float:
        """The objective that a step minimises; infinite where a flux leaves vacuum."""
        return transport(self.grid).action(path.density, path.flux) + self.tau * self.combined_energy(path.density[-1])


@dataclass(frozen=True, eq=False)
class Path:
    """Densities, shape ``(nt + 1, points)``, and fluxes over artificial time; the flux of level 0 is 0.

    Fluxes live at the nodes, of finite volumes at the ``nx + 1`` ends of the cells.
    """

    density: Array
    flux: Array


@dataclass(frozen=True, eq=False)
class Step:
    """What a solver returns for one daJKO step.

    Attributes
    ----------
    path : Path
        The transport from the previous density to the new one.
    status : Status
    iterations : int
    residuals : mapping from str to float
        What the stopping rule looked at, and how far the constraints are violated.
    residual : float
        The largest quantity that the stopping rule compares with the tolerance.
    message : str
        One sentence for people.
    warm_start : object
        What the same solver may start the next step from.
    potential : array of shape (nt, points), optional
        Multiplier of the continuity equation at the levels 1 to nt, of the sign and scale of interior_point's equations:
        the potential whose gradient is the velocity. None where the solver has none.
    transported : array of shape (points,), optional
        The old density moved by the fluxes of the path, which is the new density where it is given: the path satisfies the
        continuity equation up to the tolerance of the solver, this density up to rounding.
    """

    path: Path
    status: Status
    iterations: int
    residuals: Mapping[str, float]
    residual: float
    message: str
    warm_start: Any = field(default=None, repr=False)
    potential: Array | None = field(default=None, repr=False)
    transported: Array | None = field(default=None, repr=False)

    @property
    def density(self) -> Array:
        """The new density, shape ``(points,)``."""
        return np.asarray(self.path.density[-1] if self.transported is None else self.transported)

    @property
    def state(self) -> Array:
        """The new density, as minimising movements in any space call it."""
        return self.density

    @property
    def converged(self) -> bool:
        """Whether the solver met its stopping rule."""
        return self.status == Status.CONVERGED
