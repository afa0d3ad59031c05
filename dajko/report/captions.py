"""What each figure shows, in words: for the page and for Snakemake's report. The words follow what a study has."""

from __future__ import annotations

import math

from dajko.study.config.study import StudyConfig

# The figures, in the order of the page.
FIGURE_NAMES = (
    "error_theta",
    "error_theta_final",
    "convergence",
    "error_time",
    "densities",
    "energy",
    "optimality",
)


def captions(study: StudyConfig) -> dict[str, str]:
    """The caption of each figure that a study can have, by the name of the figure.

    Parameters
    ----------
    study : StudyConfig
        A study of one member has no bands, one without limits no lines for them.
    """
    several = study.ensemble.members > 1
    band = " Line: median over the members; band: 5 % to 95 % quantiles." if several else ""
    theta = f"{band} Star: the θ with the smallest {'median' if several else 'error'}.{_limits(study, several)}"
    without_data = math.isinf(study.theta) and not {"theta"} & {*study.sweep, *study.zip}
    falls = "Without data it falls" + (", as here." if without_data else "; data may raise it.")
    return {
        "error_theta": "Error against the weight θ of the data: L¹ error relative to the mass, mean over the time steps."
        f"{theta} Left of the best θ the flow follows the noise, right of it the wrong model.",
        "error_theta_final": "Error against the weight θ of the data at the final time: L¹ error relative to the mass."
        f"{theta} The best θ here need not be that of the time mean.",
        "convergence": "Error at the final time against the step size. The fitted order is the slope of a linear regression "
        "of the logarithms, ± its standard error where there are at least three step sizes; the grey line has the slope "
        f"that it names.{_compared(study)}",
        "error_time": "Errors over time against the truth: L¹ relative to the mass, L², and the Wasserstein distance W₂ of "
        f"the normalised densities.{band}",
        "densities": "Density of the flow (lines) against the truth (black line, grey area) at a few times"
        f"{', for the member whose error is nearest to the median' if several else ''}.",
        "energy": f"Energy F of the model along the flow.{band} {falls}",
        "optimality": "How far each step is from the conditions of optimality. Duality gap over τ: by how much energy, at "
        "most, a step misses its minimum. First-order condition: by how much φ/τ + δE/δu differs from a constant on the "
        f"support. Hamilton-Jacobi equation: its residual over τ.{band}",
    }


def _compared(study: StudyConfig) -> str:
    """What errors of a convergence study are taken against, if that is not the truth alone."""
    if study.report.reference != "finest" and "solver.tol" not in {*study.sweep, *study.zip}:
        return ""
    return (
        " Against the finest run, which has an error of its own, orders appear somewhat too high. Hollow markers: error "
        "against the truth, to which everything contributes that is not refined."
    )


def _limits(study: StudyConfig, several: bool) -> str:
    """The horizontal lines of the figures over theta."""
    swept = study.sweep.get("theta", study.zip.get("theta"))
    values = [] if swept is None else list(swept) if isinstance(swept, list) else swept.values()
    model_only = study.limits or any(isinstance(v, int | float) and math.isinf(v) for v in values)
    parts = ["model only (θ = ∞, no data)"] * model_only + ["data only (θ → 0)"] * study.limits
    if not parts:
        return ""
    lines = "Horizontal lines" if len(parts) > 1 else "Horizontal line"
    what = f"{'medians' if len(parts) > 1 else 'median'} of the" if several else "the"
    return f" {lines}: {what} limit{'s' if len(parts) > 1 else ''} of the scheme, {' and '.join(parts)}."
