"""Random numbers of a study: each stream has a key that says what it is for, and nothing else decides what comes out."""

from __future__ import annotations

import zlib

import numpy as np

from dajko.study.config.variation import DistributionConfig

# What a random stream is for; the first word of a seed key.
NOISE, PERTURBATION = 0, 1


def noise_key(member: int) -> tuple[int, int]:
    """Seed key of a member's noise: the same at all points, whatever else is in the study."""
    return NOISE, member


def perturbation_key(key: str, member: int) -> tuple[int, int, int]:
    """Seed key of a member's draw for a dotted key."""
    return PERTURBATION, zlib.crc32(key.encode()), member


def generator(seed: int, key: tuple[int, ...]) -> np.random.Generator:
    """The stream of a seed key."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def draw(distribution: DistributionConfig, configured: float | None, source: np.random.Generator) -> float:
    """One number of a distribution; ``configured`` is the mean where the distribution has none of its own."""
    if distribution.normal is not None:
        mean = configured if distribution.normal.mean is None else distribution.normal.mean
        assert mean is not None
        return float(source.normal(mean, distribution.normal.std))
    assert distribution.uniform is not None
    return float(source.uniform(distribution.uniform.low, distribution.uniform.high))
