"""Orders of convergence: in the time step (Remark 2.3), in the mesh size, in artificial time."""

from __future__ import annotations

import numpy as np

from dajko.grid import Array
from dajko.profile.barenblatt import Barenblatt
from reproductions.data_driven_gradient_flows import figures
from reproductions.data_driven_gradient_flows.finding import Finding, Picture, Table, Verdict
from reproductions.data_driven_gradient_flows.stores import Stores
from reproductions.data_driven_gradient_flows.words import fixed, order, percent, short, slope

_RULES = ("trapezoid", "right")


def time_step_errors(stores: Stores) -> tuple[Array, Array]:
    """Time steps, and final L1 errors relative to the mass, of the Ornstein-Uhlenbeck process."""
    flows = stores.flows("order-tau")
    return np.array([f.tau for f in flows]), np.array([f.errors[-1] for f in flows])


def mesh_errors(stores: Stores) -> tuple[Array, Array]:
    """Mesh sizes, and final L1 distances to the finest run at the common nodes, relative to the mass."""
    flows = sorted(stores.flows("order-dx"), key=lambda f: f.grid.nx)
    *coarse, finest = flows
    errors = []
    for f in coarse:
        there = finest.density[-1][:: finest.grid.nx // f.grid.nx]
        errors.append(float(f.grid.integrate(np.abs(f.density[-1] - there)) / f.grid.integrate(f.density[0])))
    return np.array([f.grid.dx for f in coarse]), np.array(errors)


def effective_steps(stores: Stores) -> dict[tuple[float, str], dict[int, float]]:
    """Effective time step over tau of one step, by tau and time rule, and Nt.

    The exact JKO step of a Barenblatt profile for m = 2 is a dilation by s with ``(s - 1) int x^2 u = tau s^-2 int u^2``:
    the second moment after the step gives s, and s gives the tau that was really stepped.
    """
    found: dict[tuple[float, str], dict[int, float]] = {}
    for f in stores.flows("order-nt"):
        before, after = f.grid.integrate(f.grid.x**2 * f.density)
        s = float(np.sqrt(after / before))
        tau = (s - 1) * s**2 * float(before) / float(f.grid.integrate(f.density[0] ** 2))
        assert f.grid.time_rule is not None
        found.setdefault((f.tau, f.grid.time_rule), {})[f.grid.nt] = tau / f.tau
    return found


def time_step(stores: Stores) -> Finding:
    """Remark 2.3: convergence of order tau."""
    tau, error = time_step_errors(stores)
    flows = [f for f in stores.flows("continuous-data") if np.isinf(f.theta)]
    tau_b, error_b = np.array([f.tau for f in flows]), np.array([f.errors[-1] for f in flows])
    orders = slope(tau, error), slope(tau_b, error_b)
    return Finding(
        title="First order in τ",
        place="Remark 2.3",
        claim="“Under mild regularity assumptions on the initial point, convergence with order τ holds.”",
        studies=["order-tau", "continuous-data"],
        verdict=Verdict.of(abs(orders[0][0] - 1) < 0.15 and abs(orders[1][0] - 1) < 0.15),
        found=[
            f"Fitted orders: {order(orders[0])} for an Ornstein–Uhlenbeck process (smooth), {order(orders[1])} for a "
            "Barenblatt profile (no more than Lipschitz), both with the consistent rule in artificial time."
        ],
        tables=[
            Table(
                "Final L1 error relative to the mass",
                ["τ", "Ornstein–Uhlenbeck", "τ", "Barenblatt"],
                [[short(a), short(b), short(c), short(d)] for a, b, c, d in zip(tau, error, tau_b, error_b, strict=True)],
            )
        ],
        pictures=[
            Picture(
                "orders",
                "Errors against the time step, the mesh size, and effective time step against Nₜ with both rules.",
                lambda: figures.orders((tau, error), (tau_b, error_b), mesh_errors(stores), effective_steps(stores)),
            )
        ],
    )


def mesh(stores: Stores) -> Finding:
    """Second order in the mesh size for smooth data."""
    dx, error = mesh_errors(stores)
    found = slope(dx, error)
    return Finding(
        title="Second order in δx",
        place="Section 4.1, (4.1), (4.3)",
        claim="Centred differences and trapezoidal sums in space; a convergence study is left to other work.",
        studies=["order-dx"],
        verdict=Verdict.of(abs(found[0] - 2) < 0.2),
        found=[f"Ornstein–Uhlenbeck process, four steps, against the run with Nₓ = 768: fitted order {order(found)}."],
        tables=[
            Table(
                "Final L1 distance to the finest run, relative to the mass",
                ["δx", "distance"],
                [[short(a), short(b)] for a, b in zip(dx, error, strict=True)],
            )
        ],
    )


def artificial_time(stores: Stores) -> Finding:
    """The time rules: the printed one is too fast by 1 + dt."""
    ratio = effective_steps(stores)
    short_tau, long_tau = sorted({tau for tau, _ in ratio})
    levels = sorted(ratio[short_tau, "right"])
    free = {tau: np.array([ratio[tau, "right"][n] for n in levels]) for tau in (short_tau, long_tau)}
    excess = np.array([ratio[short_tau, "trapezoid"][n] / (1 + 1 / n) - 1 for n in levels])
    energies = [float(f["energy"][-1]) for f in stores.flows("order-nt") if (f.tau, f.grid.time_rule) == (long_tau, "right")]
    varies = {tau: float(np.ptp(values) / values[-1]) for tau, values in free.items()}
    return Finding(
        title="Artificial time",
        place="Section 4.1, (4.2), (4.3)",
        claim="The action is summed by the trapezoidal rule in artificial time; the continuity equation takes backward "
        "differences.",
        studies=["order-nt"],
        verdict=Verdict.of(float(np.abs(excess).max()) < 0.01 and varies[short_tau] < 0.01, condition=True),
        found=[
            "The condition: Nₜ → ∞. The exact step of a Barenblatt profile is a dilation, from which the time step can be "
            f"read off that a solver has really taken. For τ = {short(short_tau)} it is (1 + δt)τ with the paper's rule, "
            f"to {percent(float(np.abs(excess).max()), 2)}: the flow runs {percent(stores.flow('figure-5-1').grid.dt, 0)} "
            "too fast at the paper's Nₜ, however small τ is, because the last of the Nₜ intervals costs half of what it "
            f"should. With the weight δt at all levels but the first it is free of Nₜ to {percent(varies[short_tau], 2)}.",
            f"The paper's τ = {short(long_tau)} is {percent(long_tau / Barenblatt().t0, 0)} of the age of the profile. "
            "Such a step stretches it so much that the backward difference itself matters: the effective step varies by "
            f"{percent(varies[long_tau])} with the consistent rule too, from Nₜ = {levels[0]} to {levels[-1]}, and the "
            f"energy after the step by {percent((max(energies) - min(energies)) / min(energies), 2)}.",
        ],
        tables=[
            Table(
                "Effective time step over τ, one step of figure 5.1 at Nₓ = 400",
                ["Nₜ", "1 + δt", *(f"{rule}, τ = {short(tau)}" for tau in (short_tau, long_tau) for rule in _RULES)],
                [
                    [str(n), fixed(1 + 1 / n, 4)]
                    + [fixed(ratio[tau, rule][n], 4) for tau in (short_tau, long_tau) for rule in _RULES]
                    for n in levels
                ],
            )
        ],
    )
