"""Interaction kernels and their sums on a grid, against closed forms, direct sums and quadrature."""

import math

import numpy as np
import pytest
from scipy.integrate import quad

from dajko import Energy, GaussianKernel, Grid, InputError, Logarithmic, Morse, PowerLaw, QuadraticAttraction
from dajko.energy.on_grid import FFT_NODES, GridInteraction, interaction_on

GRID = Grid(-1.0, 1.5, 30, 1)
KERNELS = {
    "logarithmic": Logarithmic(10.0),
    "logarithmic_core": Logarithmic(2.0, core=0.05),
    "quadratic": QuadraticAttraction(3.0),
    "power_law": PowerLaw(4.0, 1.5, 2.0),
    "power_law_singular": PowerLaw(2.0, -0.5),
    "power_law_log": PowerLaw(2.0, 0.0),
    "attraction_only": PowerLaw(1.0, None),
    "gaussian": GaussianKernel(2.0, 0.3),
    "morse": Morse(1.0, 0.5, 2.0, 0.1),
}
named = pytest.mark.parametrize("name", KERNELS)


def density(grid):
    return np.random.default_rng(3).uniform(0.0, 2.0, grid.nx + 1)


def direct(kernel, grid):
    """W_ij one pair of nodes at a time."""
    matrix = np.empty((grid.nx + 1, grid.nx + 1))
    for i, x in enumerate(grid.x):
        for j, y in enumerate(grid.x):
            matrix[i, j] = kernel.at_zero(grid.dx) if i == j else kernel(np.array(x - y))
    return matrix


@pytest.mark.parametrize(
    ("kernel", "r", "value"),
    [
        (Logarithmic(math.pi), math.e, 1.0),
        (Logarithmic(2 * math.pi, core=3.0), 4.0, 2 * math.log(5.0)),
        (QuadraticAttraction(3.0), -2.0, 6.0),
        (PowerLaw(4.0, 1.0, 2.0), -2.0, 4.0),
        (PowerLaw(2.0, 0.0), math.e, math.e**2 / 2 - 1),
        (PowerLaw(1.0, None), -0.5, 0.5),
        (PowerLaw(2.0, -0.5), 4.0, 9.0),
        (GaussianKernel(2.0, 0.5), 1.0, -2.0 * math.exp(-2.0)),
        (Morse(3.0, 2.0, 5.0, 1.0), -2.0, 5.0 * math.exp(-2.0) - 3.0 * math.exp(-1.0)),
    ],
    ids=str,
)
def test_kernels_at_a_distance(kernel, r, value):
    assert kernel(np.array([r, -r])).tolist() == pytest.approx([value, value], rel=1e-14)


@pytest.mark.parametrize("dx", [0.1, 0.02])
@pytest.mark.parametrize(
    "kernel",
    [Logarithmic(10.0), PowerLaw(0.0, None), PowerLaw(-0.5, None), PowerLaw(0.0, -0.5, 3.0)],
    ids=str,
)
def test_singular_kernels_are_averaged_over_two_cells_at_zero(kernel, dx):
    average = quad(lambda r: float(kernel(np.array(r))), 0.0, dx, epsabs=1e-12)[0] / dx
    assert kernel.at_zero(dx) == pytest.approx(average, rel=1e-6)


def test_the_paper_s_regularisation_of_the_logarithm():
    """chi / (d pi) (log dx - 1), d = 1; a core that the grid resolves is its own regularisation."""
    assert interaction_on(Logarithmic(np.pi, core=0.2), GRID).matrix[7, 7] == pytest.approx(math.log(0.2))
    assert interaction_on(Logarithmic(np.pi, core=0.01), GRID).matrix[7, 7] == pytest.approx(math.log(GRID.dx) - 1)
    assert interaction_on(Logarithmic(10.0), GRID).matrix[7, 7] == pytest.approx(10 / math.pi * (math.log(GRID.dx) - 1))


@pytest.mark.parametrize(
    "kernel", [QuadraticAttraction(), GaussianKernel(2.0), Morse(1.0, repulsion=3.0), PowerLaw(2.0, 0.5)]
)
def test_other_kernels_are_continuous_at_zero(kernel):
    assert kernel.at_zero(0.1) == pytest.approx(float(kernel(np.array(0.0))), abs=1e-15)


@named
def test_value_and_mean_field_are_the_sums_of_the_paper(name):
    """(4.1) and (4.16), by a double loop."""
    matrix, u, w = direct(KERNELS[name], GRID), density(GRID), GRID.wx
    energy = Energy(interaction=KERNELS[name])
    value = sum(0.5 * w[i] * w[j] * matrix[i, j] * u[i] * u[j] for i in range(31) for j in range(31))
    assert energy.value(u, GRID) == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(energy.first_variation(u, GRID), matrix @ (w * u), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("nx", [4, 5, 29, 64, FFT_NODES - 2, FFT_NODES - 1, FFT_NODES, 499])
@pytest.mark.parametrize("name", ["logarithmic", "power_law", "gaussian"])
def test_fft_and_direct_sum_agree_to_rounding(name, nx):
    grid = Grid(-1.0, 1.5, nx, 1)
    u, interaction = density(grid), interaction_on(KERNELS[name], grid)
    expected = interaction.matrix @ (grid.wx * u)
    largest = np.abs(interaction.matrix).max() * grid.integrate(u)
    for found in (
        interaction.mean_field(u),
        GridInteraction(grid, interaction.matrix).mean_field(u),
        interaction._by_fft(u),
    ):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14 * largest)


def test_many_densities_at_once_are_each_alone():
    for nx in (30, FFT_NODES):
        grid = Grid(0.0, 1.0, nx, 1)
        energy, u = Energy(interaction=Logarithmic(2.0)), np.array([[density(grid), grid.x], [grid.x**2, 1 + grid.x]])
        together = energy.value(u, grid)
        assert together.shape == (2, 2)
        for i in range(2):
            for j in range(2):
                assert together[i, j] == pytest.approx(float(energy.value(u[i, j], grid)), rel=1e-13)


def test_a_kernel_may_be_a_matrix_or_a_function_of_one_or_two_arguments():
    u, kernel = density(GRID), GaussianKernel(2.0, 0.3)
    expected = Energy(interaction=kernel).value(u, GRID)
    forms = [
        direct(kernel, GRID),
        lambda r: -2.0 * np.exp(-(r**2) / 0.18),
        lambda x, y: -2.0 * np.exp(-((x - y) ** 2) / 0.18),
        interaction_on(kernel, GRID),
    ]
    for form in forms:
        assert Energy(interaction=form).value(u, GRID) == pytest.approx(expected, rel=1e-12)
    constant = Energy(interaction=lambda x, y: 2.0).value(u, GRID)
    assert constant == pytest.approx(GRID.integrate(u) ** 2, rel=1e-12)
    product = Energy(interaction=lambda x, y: x * y).value(u, GRID)  # not a convolution
    assert product == pytest.approx(0.5 * GRID.integrate(GRID.x * u) ** 2, rel=1e-12)


@named
def test_centring_changes_nothing_for_densities_of_one_mass(name):
    interaction, u, mass = interaction_on(KERNELS[name], GRID), density(GRID), 1.7
    u *= mass / GRID.integrate(u)
    centred = GridInteraction(GRID, interaction.centred)
    value = centred.value(u) + GRID.integrate(interaction.potential(mass) * u)
    assert value == pytest.approx(interaction.value(u), rel=1e-11, abs=1e-12)
    np.testing.assert_allclose(centred.mean_field(np.ones(31)), 0.0, atol=1e-13 * np.abs(interaction.matrix).max())


@named
def test_norm_is_the_largest_stretch(name):
    """By a dense singular value decomposition in the inner product of space, on densities of mass zero."""
    interaction, root = interaction_on(KERNELS[name], GRID), np.sqrt(GRID.wx)
    project = np.eye(31) - np.outer(root, root) / (root @ root)
    expected = np.linalg.norm(project @ (root[:, None] * interaction.matrix * root) @ project, 2)
    assert interaction.norm == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Logarithmic(np.nan), "chi of Logarithmic must be a finite number"),
        (lambda: Logarithmic("2"), "chi of Logarithmic must be a number, got '2'"),
        (lambda: Logarithmic(1.0, core=-0.1), "core of Logarithmic must be at least 0"),
        (lambda: QuadraticAttraction(np.inf), "strength of QuadraticAttraction must be a finite number"),
        (lambda: PowerLaw(2.0, -1.0), "repulsion of PowerLaw must be greater than -1"),
        (lambda: PowerLaw(1.0, 2.0), "attraction must be greater than repulsion"),
        (lambda: GaussianKernel(1.0, 0.0), "width of GaussianKernel must be greater than 0"),
        (lambda: Morse(repulsion_width=0.0), "repulsion_width of Morse must be greater than 0"),
    ],
)
def test_bad_parameters_are_refused(make, says):
    with pytest.raises(InputError, match=says):
        make()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (np.zeros((30, 31)), r"interaction must have the shape \(31, 31\) on this grid, got \(30, 31\)"),
        (np.zeros(31), r"interaction must have the shape \(31, 31\)"),
        (np.arange(31.0**2).reshape(31, 31), "interaction must be a symmetric matrix"),
        (lambda r: r, "interaction must be an even function of x - y"),
        (lambda x, y: x - y, "interaction must be symmetric in x and y"),
        (lambda r: np.where(r == 0, np.inf, 0.0), "interaction must be finite at every pair of points of the grid"),
        (lambda r: r[1:], r"interaction must have the shape \(61,\)"),
        ("steep", "interaction must be a named kernel, a matrix with a number for each pair"),
        (PowerLaw(400.0, None, 1e308), "interaction must be finite at every pair of points of the grid"),
        (interaction_on(GaussianKernel(), Grid(0.0, 1.0, 30, 1)), "interaction has been evaluated on another grid"),
    ],
)
def test_bad_interactions_are_refused(given, says):
    with pytest.raises(InputError, match=says):
        Energy(interaction=given).interaction_on(GRID)
