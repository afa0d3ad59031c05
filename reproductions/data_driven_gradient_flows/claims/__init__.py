"""The claims of the paper, by section of the page: each is a function that takes stores and gives a finding."""

from __future__ import annotations

from reproductions.data_driven_gradient_flows.claims import (
    algorithm,
    blow_up,
    estimates,
    exponent,
    initial,
    limits,
    optimality,
    orders,
)
from reproductions.data_driven_gradient_flows.finding import Claim

SECTIONS: tuple[tuple[str, tuple[Claim, ...]], ...] = (
    ("Figure 5.1: the scheme without data", (initial.profiles, initial.energy_decay)),
    (
        "Algorithm 1",
        (
            algorithm.step_sizes,
            algorithm.iterations,
            algorithm.tolerance,
            optimality.first_order_condition,
            algorithm.meaning_of_theta,
            algorithm.positivity,
        ),
    ),
    ("Figures 5.2 to 5.4: unknown initial condition", (initial.expectation, initial.waiting, initial.variance)),
    (
        "Figures 5.5 and 5.6: unknown m",
        (exponent.wrong_exponent, exponent.propagation, exponent.rescaled_mass, exponent.mass_as_data),
    ),
    ("Figure 5.7: chemotaxis", (blow_up.boundedness, blow_up.data, blow_up.threshold)),
    ("Estimates, evaluated along the flows", (estimates.stability, estimates.decay, estimates.hoelder, estimates.with_data)),
    ("Limits", (limits.small_and_large_theta, limits.exact_data, limits.continuous_data, limits.nudging)),
    ("Orders of convergence", (orders.time_step, orders.mesh, orders.artificial_time)),
)
