"""Algorithm 1 as printed, with dense matrices and the roots of the cubic from a library: slow, to compare kernels with.

A grid function is the vector ``u = (rho, m)``, both parts ordered by level, then by node.
"""

import numpy as np


def constraints(grid, density):
    """The matrices ``A_i`` and right-hand sides ``b_i`` of (4.9)-(4.12), square roots of the weights included."""
    n, levels = grid.nx + 1, grid.nt + 1
    wx, wt = grid.wx, grid.wt_metric
    backward = (np.eye(levels)[1:] - np.eye(levels)[:-1]) / grid.dt
    centred = (np.eye(n, k=1) - np.eye(n, k=-1)) / (2 * grid.dx)
    centred[[0, -1]] = 0.0
    centred[0, :2] = centred[-1, -2:] = [-1 / grid.dx, 1 / grid.dx]
    ends, none = np.eye(n)[[0, -1]], np.zeros((1, levels * n))

    continuity = np.hstack([np.kron(backward, np.eye(n)), np.kron(np.eye(levels)[1:], centred)])
    boundary = np.hstack([np.zeros((2 * levels, levels * n)), np.kron(np.eye(levels), ends)])
    mass = np.hstack([np.kron(np.eye(levels), wx), np.repeat(none, levels, axis=0)])
    initial = np.hstack([np.kron(np.eye(levels)[:1], np.eye(n)), np.repeat(none, n, axis=0)])
    blocks = [
        (continuity, np.zeros(grid.nt * n), np.kron(wt[1:], wx)),
        (boundary, np.zeros(2 * levels), np.repeat(wt, 2)),
        (mass, np.full(levels, wx @ density), wt),
        (initial, density, wx),
    ]
    return [(np.sqrt(w)[:, None] * a, np.sqrt(w) * b) for a, b, w in blocks]


def gramian(grid):
    """The diagonal of W, the Gramian of the inner product (4.2)."""
    return np.tile(np.kron(grid.wt_metric, grid.wx), 2)


def normal_norm(grid):
    """``|AA*|`` by a dense singular value decomposition."""
    a = np.vstack([a for a, _ in constraints(grid, np.ones(grid.nx + 1))])
    return np.linalg.norm(a / np.sqrt(gramian(grid)), 2) ** 2


def prox_action(rho, m, lam):
    """(4.14) and (4.15) at one node."""
    # The positive root has the largest real part: the real part of the other two, if complex, is negative.
    root = np.roots([1.0, 2 * lam - rho, lam**2 - 2 * lam * rho, -rho * lam**2 - lam / 2 * m**2]).real.max()
    return (root, root * m / (root + lam)) if root > 0 else (0.0, 0.0)


def dual_prox(phi, sigma, b, delta):
    """``prox_{sigma i*}(phi) = phi - sigma proj(phi / sigma)``, the projection being onto a ball around b."""
    psi = phi / sigma
    distance = np.linalg.norm(psi - b)
    return phi - sigma * (psi if distance <= delta else b + delta * (psi - b) / distance)


def algorithm_1(grid, density, tau, gradient, lam, sigma, delta, iterations):
    """Run Algorithm 1 from the old density at rest; ``gradient(u)`` is that of E_h in the inner product of space.

    Returns rho, m, and the four dual variables phi.
    """
    n, levels = grid.nx + 1, grid.nt + 1
    blocks, w = constraints(grid, density), gramian(grid)

    def grad_e(u):
        result = np.zeros((2, levels, n))
        result[0, -1] = tau * gradient(u.reshape(2, levels, n)[0, -1]) / grid.wt_metric[-1]
        return result.ravel()

    u = np.concatenate([np.tile(density, levels), np.zeros(levels * n)])
    phi = [np.zeros_like(b) for _, b in blocks]
    bar = u
    for _ in range(iterations):
        phi = [dual_prox(p + sigma * a @ bar, sigma, b, delta) for p, (a, b) in zip(phi, blocks, strict=True)]
        adjoint = sum(a.T @ p for p, (a, _) in zip(phi, blocks, strict=True)) / w
        rho, m = (u - lam * grad_e(u) - lam * adjoint).reshape(2, levels, n)
        for k in range(levels):
            for j in range(n):
                if grid.wt[k] > 0:
                    rho[k, j], m[k, j] = prox_action(rho[k, j], m[k, j], lam)
                else:
                    rho[k, j] = max(rho[k, j], 0.0)
        new = np.concatenate([rho.ravel(), m.ravel()])
        bar = 2 * new - u + lam * grad_e(u) - lam * grad_e(new)
        u = new
    rho, m = u.reshape(2, levels, n)
    return rho, m, phi
