"""The estimates of sections 2 and 3, evaluated along computed flows.

Distances are ``d^2 = M W2^2`` with the usual W2 between densities divided by their mass M: then ``F + d^2 / (2 tau)`` is
what a step minimises, as in (2.8).
"""

from __future__ import annotations

import numpy as np

from dajko.data.data_term import measure
from dajko.grid import Array
from dajko.observation.variance import Variance
from reproductions.data_driven_gradient_flows import figures
from reproductions.data_driven_gradient_flows.finding import Finding, Picture, Table, Verdict
from reproductions.data_driven_gradient_flows.stores import Flow, Stores
from reproductions.data_driven_gradient_flows.words import fixed, percent, short

FIGURES = tuple(f"figure-5-{i}" for i in range(1, 7))


def _exact(stores: Stores, name: str, data: bool = True) -> Flow:
    return stores.flow(name, "interior_point", "right", data=data)


def _combined(flow: Flow, step: int, density: Array) -> float:
    """The functional that step ``step`` (from 1 on) minimises together with the distance."""
    e = flow.experiment
    value = float(e.energy.value(density, e.grid))
    if np.isfinite(flow.theta):
        misfit = measure(e.observations, density[None], e.grid)[0] - flow["data"][step]
        value += float(misfit @ misfit) / (2 * flow.theta)
    return value


def stability(stores: Stores) -> Finding:
    """(2.9), for pairs of flows of the same mass."""
    pairs = [
        ("another initial datum, the same F", _exact(stores, "figure-5-1"), _exact(stores, "figure-5-3", data=False)),
        ("the same with the expectation as data", _exact(stores, "figure-5-2"), _exact(stores, "figure-5-3")),
        ("m = 2 and m = 2.5", _exact(stores, "figure-5-3", data=False), _exact(stores, "figure-5-6", data=False)),
        ("with and without the variance as data", _exact(stores, "figure-5-3"), _exact(stores, "figure-5-4")),
    ]
    rows, shares, growth = [], [], []
    for what, a, b in pairs:
        before, after = (a.squared_distance(a.density[n], b.density[n]) for n in (slice(None, -1), slice(1, None)))
        bound = np.empty_like(after)
        for n in range(1, a.density.shape[0]):
            points = [a.density[n - 1], b.density[n - 1], a.density[n], b.density[n]]
            values = np.array([[_combined(f, n, u) for u in points] for f in (a, b)])
            difference, size = np.abs(values[0] - values[1]).max(), np.abs(values).max(axis=1).sum()
            bound[n - 1] = 9 * before[n - 1] + 8 * a.tau * difference + 4 * a.tau * size
        # A pair that starts together has no ratio of distances.
        ratio = float((after / before).max()) if before.min() > 0 else np.nan
        shares.append(float((after / bound).max()))
        growth.append(ratio)
        rows.append([what, short(shares[-1]), fixed(ratio, 3)])
    return Finding(
        title="Stability of a step",
        place="Lemma 2.1, (2.9)",
        claim="d²(u₁′, u₂′) ≤ 9 d²(u₁, u₂) + 8 τ δF + 4 τ (‖F₁‖ + ‖F₂‖) for the steps u₁′, u₂′ from u₁, u₂.",
        studies=["figure-5-1", "figure-5-2", "figure-5-3", "figure-5-4", "figure-5-6"],
        verdict=Verdict.of(max(shares) <= 1, condition=True),
        found=[
            "The lemma asks for bounded functionals, which these are not; its proof uses them at four densities only, the "
            "old and the new ones of both flows, so that δF and the norms are taken over these. Then the left side is at "
            f"most {percent(max(shares))} of the right one. As Remark 2.2 of the paper says, the estimate is not sharp: "
            "the last term does not vanish when the two flows agree.",
            "In one dimension more is true. Quantile functions make W2 a Hilbert norm, in which these internal energies "
            "are convex, so that a step with the same F does not expand distances at all: d²(u₁′, u₂′)/d²(u₁, u₂) ≤ "
            f"{fixed(growth[0], 3)} in the first pair. (In print the lemma names the new steps where it means the old "
            "ones.)",
        ],
        tables=[
            Table(
                "Largest over 31 steps", ["pair of flows", "left side / right side of (2.9)", "d² after / d² before"], rows
            )
        ],
    )


def decay(stores: Stores) -> Finding:
    """(2.10) and (2.11), for flows without data."""
    rows, slack, total = [], [], []
    for name in FIGURES:
        for solver, rule in (("pd3o", "trapezoid"), ("interior_point", "right")):
            flow = stores.flow(name, solver, rule, data=False)
            f, d2 = flow["energy"], flow.squared_distance(flow.density[:-1], flow.density[1:])
            slack.append(float(((f[1:] + d2 / (2 * flow.tau) - f[:-1]) / (f[:-1] - f[1:])).max()))
            total.append(float(d2.sum() / (2 * flow.tau * (f[0] - f.min()))))
            if name != "figure-5-4":  # without data it is the flow of figure 5.3
                rows.append([name[-3:].replace("-", "."), f"{solver}, {rule}", fixed(-slack[-1], 3), fixed(total[-1], 3)])
    return Finding(
        title="Energy estimates",
        place="(2.10), (2.11)",
        claim="F(u′) + d²(u, u′)/(2τ) ≤ F(u) in each step, and Σ d² ≤ 2τ (F(u₀) − inf F).",
        studies=FIGURES,
        verdict=Verdict.of(max(slack) <= 0 and max(total) <= 1),
        found=[
            "Both hold in all steps of all flows without data. The square sum is about half of its bound, since F falls "
            "by d²/τ in a small step, twice what (2.10) uses."
        ],
        tables=[
            Table(
                "(2.10): what is left of F(u) − F(u′), least share; (2.11): left side / right side",
                ["figure, without data", "solver, rule", "(2.10)", "(2.11)"],
                rows,
            )
        ],
    )


def hoelder(stores: Stores) -> Finding:
    """(2.12): the flow is Hölder continuous in time with the exponent 1/2."""
    most = []
    for name in FIGURES:
        flow = _exact(stores, name, data=False)
        u, f, n = flow.density, flow["energy"], flow.density.shape[0]
        for lag in range(1, n):
            d2 = flow.squared_distance(u[:-lag], u[lag:])
            most.append(float(np.sqrt(d2.max() / (6 * (f[0] - f.min()) * lag * flow.tau))))
    return Finding(
        title="Hölder continuity in time",
        place="(2.12)",
        claim="d(u(s), u(t)) ≤ √6 (F(u₀) − inf F)^(1/2) |t − s|^(1/2).",
        studies=FIGURES,
        verdict=Verdict.of(max(most) <= 1),
        found=[
            f"Over all pairs of steps of the flows without data, the left side is at most {percent(max(most), 0)} of the "
            "right one."
        ],
    )


def gram(flow: Flow, density: Array) -> float:
    """Square of the Lipschitz constant of B at a density: largest eigenvalue of ``int u dx(dB_i/du) dx(dB_j/du)``."""
    grid, mass = flow.grid, float(flow.grid.integrate(density))
    slopes = [np.ones_like(grid.x)]
    if any(isinstance(o, Variance) for o in flow.config.observations.operators):
        first = float(measure(["expectation"], density[None], grid)[0, 0])
        slopes.append(2 * (grid.x - first) - 2 * first * (1 - mass))
    matrix = [[float(grid.integrate(density * a * b)) for a in slopes] for b in slopes]
    return float(np.linalg.eigvalsh(matrix).max())


def with_data(stores: Stores) -> Finding:
    """(3.5), and the condition L_B^2 < theta / 2 under which Remark 3.3 goes on."""
    rows, slack, rises, meets = [], [], {}, {}
    for name in FIGURES[1:]:
        flow = _exact(stores, name)
        f, d2 = flow["energy"], flow.squared_distance(flow.density[:-1], flow.density[1:])
        v, b = flow["data"][1:], flow["observed"]
        gain = (np.sum((b[:-1] - v) ** 2, axis=1) - np.sum((b[1:] - v) ** 2, axis=1)) / (2 * flow.theta)
        excess = f[1:] + d2 / (2 * flow.tau) - f[:-1] - gain
        slack.append(float((excess / np.abs(f[:-1])).max()))
        rises[name[-3:].replace("-", ".")] = int((np.diff(f) > 0).sum())
        lipschitz, printed = max(gram(flow, u) for u in flow.density), flow.theta / flow.tau
        meets[name] = lipschitz < printed / 2
        number = name[-3:].replace("-", ".")
        rows.append([number, short(slack[-1]), str(rises[number]), fixed(lipschitz, 2), fixed(printed / 2, 2)])
    failing = [name[-3:].replace("-", ".") for name, met in meets.items() if not met]
    return Finding(
        title="The energy estimate with data",
        place="Remark 3.3, (3.5)",
        claim="F(u′) + d²(u, u′)/(2τ) ≤ F(u) + (|B(u) − v|² − |B(u′) − v|²)/(2θτ); with L_B² < θ/2 it bounds the flow.",
        studies=FIGURES[1:],
        verdict=Verdict.of(max(slack) <= 1e-9, condition=bool(failing)),
        found=[
            "(3.5) holds in every step of every figure. The energy F alone need no longer fall: "
            + ", ".join(f"in figure {name} it rises in {n} of 31 steps" for name, n in rises.items() if n)
            + ("." if any(rises.values()) else "here it falls all the same."),
            "The condition L_B² < θ/2 is about the θ of (1.7), which is that of section 4.2 over τ. With L_B² the largest "
            "eigenvalue of ∫u ∂ₓ(δBᵢ/δu) ∂ₓ(δBⱼ/δu) along the flow, "
            + (f"it is violated in figure {' and '.join(failing)}" if failing else "it is met everywhere")
            + ". It is sufficient, not necessary: (3.5) and the flow hold there as well.",
        ],
        tables=[
            Table(
                "(3.5): largest excess of the left side, relative to F",
                ["figure", "excess", "steps in which F rises", "L_B², largest", "θ(1.7)/2"],
                rows,
            )
        ],
        pictures=[
            Picture(
                "estimates",
                "Terms of (3.5) along figure 5.4: decrease of F, and what the data allow in addition, against d²/(2τ).",
                lambda: figures.estimate(_exact(stores, "figure-5-4")),
            )
        ],
    )
