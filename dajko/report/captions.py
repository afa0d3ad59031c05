"""What each figure shows, in words: for the page and for Snakemake's report. Imports nothing."""

CAPTIONS: dict[str, str] = {
    "error_theta": (
        "Error against the weight θ of the data: L¹ error relative to the mass, mean over the time steps. Line: median over "
        "the members; band: 5 % to 95 % quantiles; star: the θ with the smallest median. Horizontal lines: medians of the "
        "limits of the scheme, where they were computed: model only (θ = ∞, no data) and data only (θ → 0). Left of the "
        "best θ the flow follows the noise, right of it the wrong model."
    ),
    "convergence": (
        "Error at the final time against the step size. The fitted order is the slope of a linear regression of the "
        "logarithms, ± its standard error where there are at least three step sizes; the grey line has the slope that it "
        "names. Against the finest run, which has an error of its own, orders appear somewhat too high."
    ),
    "error_time": (
        "Errors over time against the truth: L¹ relative to the mass, L², and the Wasserstein distance W₂ of the normalised "
        "densities. Line: median over the members; band: 5 % to 95 % quantiles."
    ),
    "densities": (
        "Density of the flow (lines) against the truth (black line, grey area) at a few times, for the member whose error "
        "is nearest to the median."
    ),
    "energy": (
        "Energy F of the model along the flow. Line: median over the members; band: 5 % to 95 % quantiles. Without data the "
        "energy falls; data may raise it."
    ),
    "optimality": (
        "How far each step is from the conditions of optimality. Duality gap over τ: by how much energy, at most, "
        "a step misses its minimum. First-order condition: by how much φ/τ + δE/δu differs from a constant on the support. "
        "Hamilton-Jacobi equation: its residual over τ. Line: median over the members; band: 5 % to 95 % quantiles."
    ),
}
