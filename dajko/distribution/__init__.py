"""Distributions that a member's parameters are drawn from: a kind each module."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from dajko.ingredient import Ingredient


class Distribution(Ingredient, family="distribution"):
    """A distribution of one number."""

    @property
    def needs_value(self) -> bool:
        """Whether a draw depends on the value that the study gives to the parameter."""
        return False

    @abstractmethod
    def draw(self, value: float | None, source: np.random.Generator) -> float:
        """One number; ``value`` is what the study gives to the parameter."""
