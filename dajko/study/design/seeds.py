"""Random numbers of a study: each stream has a key that says what it is for, and nothing else decides what comes out."""

from __future__ import annotations

import zlib

import numpy as np

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
