"""Limits: theta to 0 and to infinity, data without noise (Remark 3.1), and nudging (Remark 3.2)."""

from __future__ import annotations

import numpy as np
from scipy.integrate import solve_ivp

from dajko import distance, euclidean
from dajko.data.data_term import measure
from dajko.grid import Array
from reproductions.data_driven_gradient_flows import figures
from reproductions.data_driven_gradient_flows.finding import Finding, Picture, Table, Verdict
from reproductions.data_driven_gradient_flows.stores import Flow, Stores
from reproductions.data_driven_gradient_flows.words import fixed, order, percent, short, slope


def theta_limits(stores: Stores) -> tuple[Array, Array, Array]:
    """Finite theta, largest misfit ``|B(u) - v|`` of a step, and largest L1 distance to the flow without data / mass."""
    flows = [f for f in stores.flows("theta-limits") if np.isfinite(f.theta)]
    (free,) = (f for f in stores.flows("theta-limits") if np.isinf(f.theta))
    theta = np.array([f.theta for f in flows])
    misfit = np.array([np.linalg.norm((f["observed"] - f["data_exact"])[1:], axis=1).max() for f in flows])
    away = np.array([distance.l1(f.density, free.density, free.grid).max() / free["mass"][0] for f in flows])
    return theta, misfit, away


def small_and_large_theta(stores: Stores) -> Finding:
    """The limits of theta: data only, model only."""
    theta, misfit, away = theta_limits(stores)
    tau = stores.flows("theta-limits")[0].tau
    paper = stores.flow("figure-5-4").theta
    small, large = theta <= 0.01 * tau, theta >= 1.0
    orders = slope(theta[small], misfit[small]), slope(theta[large], away[large])
    holds = abs(orders[0][0] - 1) < 0.15 and abs(orders[1][0] + 1) < 0.15
    return Finding(
        title="θ → 0 and θ → ∞",
        place="Section 1, below (1.4); section 3, below (3.2)",
        claim="For θ → 0 “the flow is completely data driven”, B(u) = v; for θ → ∞ “the data has no more influence”.",
        studies=["theta-limits"],
        verdict=Verdict.of(holds),
        found=[
            f"In the setting of figure 5.4 the misfit |B(u) − v| falls like θ to the power {order(orders[0])} for θ ≤ "
            f"τ/100, down to {short(misfit[0])}; the distance to the flow without data falls like θ to the power "
            f"{order(orders[1])} for θ ≥ 1, down to {short(away[-1])}. What decides is θ against τ, not against 1: at the "
            f"paper's θ = {short(paper / tau)} τ this distance is {percent(float(away[theta == paper][0] / away[0]), 0)} "
            "of what it is for θ → 0."
        ],
        tables=[
            Table(
                "Largest over 31 steps",
                ["θ", "misfit |B(u) − v|", "L1 distance to the flow without data / mass"],
                [[short(t), short(m), short(a)] for t, m, a in zip(theta, misfit, away, strict=True)],
            )
        ],
        pictures=[
            Picture(
                "theta-limits",
                "Misfit of the data, and distance to the flow without data, against θ; the paper's θ and the lines of "
                "slope ±1.",
                lambda: figures.theta_limits(theta, misfit, away, paper),
            )
        ],
    )


def exact_data(stores: Stores) -> Finding:
    """Remark 3.1, first half: data of the scheme itself leave its minimisers unchanged."""
    flows = stores.flows("exact-data")
    away = [float(f.errors.max()) for f in flows]
    return Finding(
        title="Data that the scheme has made",
        place="Remark 3.1",
        claim="If the data are measurements of the scheme's own solution, it yields the same minimisers with the data "
        "as without.",
        studies=["exact-data"],
        verdict=Verdict.of(max(away) < 1e-6),
        found=[
            f"For θ from {short(flows[0].theta)} to ∞ the flow stays within {short(max(away))} of the mass of the flow "
            "that made the data, which is what the solver leaves (tol = 10⁻⁹)."
        ],
        tables=[
            Table(
                "L1 distance to the flow that made the data / mass, largest over 31 steps",
                ["θ", "distance"],
                [[short(f.theta), short(a)] for f, a in zip(flows, away, strict=True)],
            )
        ],
    )


def _final(flows: list[Flow]) -> tuple[Array, Array]:
    return np.array([f.tau for f in flows]), np.array([f.errors[-1] for f in flows])


def continuous_data(stores: Stores) -> Finding:
    """Remark 3.1, second half: data of the exact solution leave an error of order tau."""
    flows = stores.flows("continuous-data")
    (tau, error), (_, alone) = (_final([f for f in flows if np.isfinite(f.theta) == finite]) for finite in (True, False))
    found = slope(tau, error)
    return Finding(
        title="Data of the continuous flow",
        place="Remark 3.1",
        claim="If the data come from the time-continuous limit, “we will always have an approximation error of order τ”.",
        studies=["continuous-data"],
        verdict=Verdict.of(abs(found[0] - 1) < 0.2),
        found=[
            "Barenblatt profile from the right initial datum, expectation and variance of the exact solution as data: "
            f"fitted order {order(found)}. The data lower the constant, by {fixed(alone[-1] / error[-1], 1)} at the "
            "smallest τ, not the order."
        ],
        tables=[
            Table(
                "L1 error at t = 0.008 relative to the mass",
                ["τ", "with data", "without"],
                [[short(t), short(e), short(a)] for t, e, a in zip(tau, error, alone, strict=True)],
            )
        ],
    )


def nudging_errors(stores: Stores) -> tuple[Array, Array]:
    """Time steps, and errors of the final expectation against the nudged equation, of the study ``nudging``.

    With ``theta = c`` and data 0 the nudged heat equation moves the expectation of a density of mass M by
    ``b' = -(M / c) b``.
    """
    flows = stores.flows("nudging")
    tau, error = np.array([f.tau for f in flows]), []
    for f in flows:
        e = f.experiment
        first, last = measure(["expectation"], np.stack([e.initial, f.density[-1]]), f.grid)[:, 0]
        mass = float(f.grid.integrate(e.initial))
        error.append(abs(last - first * np.exp(-mass * e.tau * e.steps / f.theta)))
    return tau, np.array(error)


def euclidean_errors(c: float = 0.2) -> tuple[Array, Array, float]:
    """The same in R^2: time steps, errors at t = 1, and how far the flow of the printed sign is."""
    matrix, start = np.array([[2.0, 0.5], [0.5, 1.0]]), np.array([0.4, 0.3])

    def truth(t: float) -> Array:
        return np.array([np.cos(3 * t), np.sin(2 * t)])

    def nudged(sign: float) -> Array:
        run = solve_ivp(lambda t, u: -matrix @ u + sign / c * (u - truth(t)), (0.0, 1.0), start, rtol=1e-11, atol=1e-12)
        return np.asarray(run.y[:, -1])

    taus = np.array([0.05 * 0.5**i for i in range(5)])
    errors: list[float] = []
    for tau in taus:
        steps = round(1.0 / tau)
        data = euclidean.LinearData(np.eye(2), np.array([truth((n + 1) * tau) for n in range(steps)]), c)
        last = euclidean.evolve(start, euclidean.quadratic(matrix), tau, steps, data).state.values[-1]
        errors.append(float(np.linalg.norm(last - nudged(-1))))
    return taus, np.array(errors), float(np.linalg.norm(nudged(1) - nudged(-1)))


def nudging(stores: Stores) -> Finding:
    """Remark 3.2: theta = c / tau in (3.3) gives nudging as tau tends to 0."""
    tau, error = nudging_errors(stores)
    tau_d, error_d, printed = euclidean_errors()
    orders = slope(tau, error), slope(tau_d, error_d)
    return Finding(
        title="Nudging",
        place="Remark 3.2, (3.3), (3.4)",
        claim="With θ = c/τ the scheme tends to u′ = −∇F(u) + (1/c) B*(Bu − v) as τ → 0.",
        studies=["nudging"],
        verdict=Verdict.of(all(abs(o[0] - 1) < 0.15 for o in orders), condition=True),
        found=[
            "θ = c/τ in (3.3) is θ = c in section 4.2, constant. Heat equation with the expectation as data, whose nudged "
            f"flow is known: the expectation converges to it with the order {order(orders[0])} in τ. In ℝ² "
            f"(`dajko.euclidean`, quadratic F, moving data) the order is {order(orders[1])}.",
            "The condition is the sign: (3.4) and the equation after it print + in front of B*, the derivative of (3.3) "
            f"has −. The flow with + is another one (distance {short(printed)} at t = 1 in ℝ², where the scheme comes "
            f"within {short(error_d[-1])} of the one with −) and pushes away from the data.",
        ],
        tables=[
            Table(
                "Distance to the nudged flow",
                ["τ, heat equation", "error of the expectation", "τ, ℝ²", "error"],
                [[short(a), short(b), short(c), short(d)] for a, b, c, d in zip(tau, error, tau_d, error_d, strict=True)],
            )
        ],
    )
