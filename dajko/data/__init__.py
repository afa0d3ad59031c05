"""Data: the measurement operator on a grid, and the term that pulls a JKO step towards what was measured."""
