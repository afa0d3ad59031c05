"""The data-driven minimising movement scheme in R^d, its smallest example: vectors in the place of densities.

Pietschmann and Schlottbom, (1.4) and (3.3). With a linear measurement operator B and data v, each step minimises::

    |u - u_n|^2 / (2 tau)  +  F(u)  +  |B u - v|^2 / (2 theta)

``theta`` is that of section 4.2, as everywhere in dajko: ``tau`` times the one of (3.3). Remark 3.2 takes the latter as
``c / tau``, which is ``theta = c``, the same for all tau; as tau tends to 0 the flow then tends to the nudged equation
``u' = -grad F(u) - B^T (B u - v) / c``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.optimize
import xarray as xr
from numpy.typing import ArrayLike

from dajko.checks import array, called, finite_array, instance, shown, whole_number
from dajko.checks import number as checked_number
from dajko.errors import InputError
from dajko.grid import Array
from dajko.movement import minimizing_movements
from dajko.status import Status

# A step has converged when its gradient is below the last share of what its terms may be. Rounding in the objective keeps a
# minimisation from getting there; Newton's method for the gradient does, once the minimisation has come near, to the first.
_NEAR, _TOLERANCE = 1e-6, 1e-10
_MOST_ITERATIONS = 1000


@dataclass(frozen=True, eq=False)
class Energy:
    """An energy F on R^d.

    Parameters
    ----------
    value : callable
        ``F(u)``, a number.
    gradient : callable
        ``grad F(u)``, shape ``(d,)``.
    hessian : callable
        Its second derivative, shape ``(d, d)``.
    """

    value: Callable[[Array], float]
    gradient: Callable[[Array], ArrayLike]
    hessian: Callable[[Array], ArrayLike]

    def __post_init__(self) -> None:
        for name in ("value", "gradient", "hessian"):
            if not callable(given := getattr(self, name)):
                raise InputError(f"{name} must be a function of a vector, got {shown(given)}")

    def check(self, state: Array) -> None:
        """Check that value, gradient and Hessian at a state have the right shapes.

        Raises
        ------
        InputError
            If one of them has not, or cannot be evaluated.
        """
        d = state.size
        for name, shape in (("value", ()), ("gradient", (d,)), ("hessian", (d, d))):
            got = array(
                name,
                called(f"{name} at the state", getattr(self, name), state.copy()),
                f"a function that gives numbers of shape {shape}",
            )
            if got.shape != shape:
                raise InputError(f"{name} must be a function that gives numbers of shape {shape}, got shape {got.shape}")


def quadratic(matrix: ArrayLike, vector: ArrayLike | float = 0.0) -> Energy:
    """``F(u) = u.A u / 2 - b.u`` with a symmetric matrix A, shape ``(d, d)``, and a vector b, shape ``(d,)``.

    Raises
    ------
    InputError
        If A is not a symmetric matrix, or b does not fit it.
    """
    a, b = finite_array("matrix", matrix, "a symmetric matrix of finite numbers"), finite_array("vector", vector)
    if a.ndim != 2 or a.shape[0] != a.shape[1] or not np.allclose(a, a.T, rtol=1e-12, atol=0.0):
        raise InputError(f"matrix must be a symmetric matrix, got shape {a.shape}")
    if b.shape not in ((), a.shape[:1]):
        raise InputError(f"vector must have the shape ({a.shape[0]},) of the matrix, got {b.shape}")
    return Energy(lambda u: float(u @ (0.5 * (a @ u) - b)), lambda u: a @ u - b, lambda u: a)


@dataclass(frozen=True, eq=False)
class LinearData:
    """Measurements ``B u`` and the weight of the data term.

    Parameters
    ----------
    operator : array of shape (numbers, d)
        B.
    values : array of shape (numbers,) or (steps, numbers)
        Data at every step, or a row for each step; a row of NaN is a step without data. A masked value is missing.
    theta : float
        Greater than 0; infinity switches the data off.

    Raises
    ------
    InputError
        If the shapes do not fit, or theta is not greater than 0.
    """

    operator: ArrayLike
    values: ArrayLike
    theta: float

    def __post_init__(self) -> None:
        operator = finite_array("operator", self.operator, "a matrix of finite numbers", ndim=2)
        values = array("data values", self.values, missing=True)
        if values.ndim not in (1, 2) or values.shape[-1] != operator.shape[0]:
            needed = f"{operator.shape[0]} numbers a step, one for each row of the operator"
            raise InputError(f"data values must have {needed}, got shape {values.shape}")
        missing = np.isnan(values)
        if np.isinf(values).any() or (missing.any(axis=-1) != missing.all(axis=-1)).any():
            raise InputError("data values must be finite; only a whole step may be missing (a row of NaN)")
        object.__setattr__(self, "theta", checked_number("theta", self.theta, above=0.0, finite=False))
        object.__setattr__(self, "operator", operator)
        object.__setattr__(self, "values", values)

    def at_step(self, step: int) -> tuple[Array, Array, float] | None:
        """Operator, values and ``1 / theta`` at a step, counted from 0; None without data."""
        operator, values = np.asarray(self.operator), np.asarray(self.values)
        row = values if values.ndim == 1 else values[step]
        if np.isnan(row).any() or math.isinf(self.theta):
            return None
        return operator, row, 1.0 / float(self.theta)


@dataclass(frozen=True, eq=False)
class EuclideanStep:
    """What one step gives.

    Attributes
    ----------
    state : array of shape (d,)
    status : Status
    iterations : int
    residual : float
        Norm of the gradient of the objective, relative to what its terms may be.
    message : str
    warm_start : None
        A step starts from the state before.
    """

    state: Array
    status: Status
    iterations: int
    residual: float
    message: str
    warm_start: None = None


def step(state: ArrayLike, energy: Energy, tau: float, data: LinearData | None = None, number: int = 0) -> EuclideanStep:
    """One step of (1.4), (3.3).

    Parameters
    ----------
    state : array of shape (d,)
        The state before.
    energy : Energy
    tau : float
        Time step.
    data : LinearData, optional
    number : int
        Which step this is, counted from 0, for data that have a row for each step.

    Returns
    -------
    EuclideanStep
        A solve that does not converge is told by the status, not by an exception.

    Raises
    ------
    InputError
        If the state is not a vector of finite numbers, tau is not greater than 0, the energy cannot be evaluated at the
        state, or the data do not fit it.
    """
    before, tau, index = _checked(state, energy, data), _tau(tau), whole_number("number", number, least=0)
    if data is not None and np.ndim(data.values) == 2 and index >= len(np.asarray(data.values)):
        raise InputError(
            f"number must be less than that of the rows of the data, {len(np.asarray(data.values))}, got {index}"
        )
    return _solve(before, energy, tau, None if data is None else data.at_step(index))


def _checked(state: ArrayLike, energy: Energy, data: LinearData | None) -> Array:
    """The state as an array, which fits energy and data."""
    values = finite_array("state", state, "a vector of finite numbers", ndim=1)
    if values.size == 0:
        raise InputError(f"state must be a vector of finite numbers, got shape {values.shape}")
    instance("energy", energy, Energy, "a dajko.euclidean.Energy").check(values)
    if data is not None:
        columns = np.asarray(instance("data", data, LinearData, "a dajko.euclidean.LinearData or None").operator).shape[1]
        if columns != values.size:
            raise InputError(f"operator must have {values.size} columns, got {columns}")
    return values


def _tau(tau: float) -> float:
    return checked_number("tau", tau, above=0.0)


def _solve(before: Array, energy: Energy, tau: float, data: tuple[Array, Array, float] | None) -> EuclideanStep:
    d = before.size
    operator, values, weight = (np.zeros((0, d)), np.zeros(0), 0.0) if data is None else data

    # In multiples of 1 / tau, so that the part of the distance has the Hessian 1.
    def value(u: Array) -> float:
        misfit = operator @ u - values
        return 0.5 * float(np.sum((u - before) ** 2)) + tau * (
            float(energy.value(u)) + 0.5 * weight * float(misfit @ misfit)
        )

    def gradient(u: Array) -> Array:
        return u - before + tau * (np.asarray(energy.gradient(u)) + weight * (operator.T @ (operator @ u - values)))

    def hessian(u: Array) -> Array:
        return np.asarray(np.eye(d) + tau * (np.asarray(energy.hessian(u)) + weight * operator.T @ operator))

    size = 1.0 + float(np.linalg.norm(before)) + tau * weight * float(np.linalg.norm(operator.T @ values))
    with np.errstate(all="ignore"):
        try:
            near = scipy.optimize.minimize(
                value,
                before,
                jac=gradient,
                hess=hessian,
                method="trust-exact",
                options={"gtol": _NEAR * size, "maxiter": _MOST_ITERATIONS},
            )
            found = scipy.optimize.root(gradient, near.x, jac=hessian, tol=1e-14)
            u, iterations = np.asarray(found.x), int(near.nit + found.nfev)
            residual = float(np.linalg.norm(gradient(u))) / size
        except (np.linalg.LinAlgError, ValueError, OverflowError):  # what SciPy raises for numbers that are not finite
            u, iterations, residual = np.full(d, np.nan), 0, math.nan
    if not (np.isfinite(u).all() and math.isfinite(residual)):
        status = Status.FAILED
    else:
        status = Status.CONVERGED if residual <= _TOLERANCE else Status.NOT_CONVERGED
    return EuclideanStep(u, status, iterations, residual, f"{iterations} iterations: {status.message}")


def steps_in_time(
    state: ArrayLike, energy: Energy, tau: float, steps: int, data: LinearData | None = None
) -> Iterator[EuclideanStep]:
    """The steps of the scheme, each started from the one before; a failed step is the last. As :func:`evolve`."""
    start, tau, steps = _checked(state, energy, data), _tau(tau), whole_number("steps", steps, least=1)
    rows = None if data is None or np.ndim(data.values) == 1 else len(np.asarray(data.values))
    if rows not in (None, steps):
        raise InputError(f"data values must have one row for each of the {steps} steps, got {rows}")

    def solve(n: int, before: Array, warm_start: Any) -> EuclideanStep:
        return _solve(before, energy, tau, None if data is None else data.at_step(n))

    return minimizing_movements(start, steps, solve)


def evolve(state: ArrayLike, energy: Energy, tau: float, steps: int, data: LinearData | None = None) -> xr.Dataset:
    """Run the scheme.

    Parameters
    ----------
    state : array of shape (d,)
        Initial state.
    energy : Energy
    tau : float
        Time step.
    steps : int
        Number of steps.
    data : LinearData, optional
        The row of step n is data at the time ``(n + 1) tau``.

    Returns
    -------
    xarray.Dataset
        ``state`` over ``(time, component)``; ``energy``, ``status``, ``iterations`` and ``residual`` over ``time``. After a
        failed step, states and energies are NaN and the status stays pending.

    Raises
    ------
    InputError
        If the input cannot be used.

    Examples
    --------
    >>> from dajko import euclidean
    >>> flow = euclidean.evolve([1.0, 2.0], euclidean.quadratic([[1.0, 0.0], [0.0, 3.0]]), tau=0.5, steps=2)
    >>> flow.state.values[-1].round(6).tolist()
    [0.444444, 0.32]
    """
    start, tau, steps = _checked(state, energy, data), _tau(tau), whole_number("steps", steps, least=1)
    states, energies = np.full((steps + 1, start.size), np.nan), np.full(steps + 1, np.nan)
    status, iterations = np.zeros(steps + 1, dtype=np.int8), np.zeros(steps + 1, dtype=np.int32)
    residual = np.full(steps + 1, np.nan)
    states[0], energies[0], status[0], residual[0] = start, energy.value(start), Status.CONVERGED, 0.0
    for n, solved in enumerate(steps_in_time(start, energy, tau, steps, data), start=1):
        status[n], iterations[n] = solved.status, solved.iterations
        if solved.status != Status.FAILED:
            states[n], energies[n], residual[n] = solved.state, energy.value(solved.state), solved.residual
    return xr.Dataset(
        {
            "state": (("time", "component"), states, {"long_name": "state", "units": "1"}),
            "energy": ("time", energies, {"long_name": "energy F", "units": "1"}),
            "status": ("time", status, {"long_name": "how the step ended", **Status.flags()}),
            "iterations": ("time", iterations, {"long_name": "iterations of the solver", "units": "1"}),
            "residual": ("time", residual, {"long_name": "residual of the stopping rule", "units": "1"}),
        },
        coords={"time": ("time", tau * np.arange(steps + 1), {"long_name": "time", "units": "1"})},
    )
