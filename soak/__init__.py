"""Disturb studies for hours and damage configurations by the thousand: ``python -m soak --help``.

What is asserted is in docs/stores.md and docs/studies.md: nothing that is computed is lost or computed again, the store that
is completed equals the undisturbed one bit for bit, and bad input is answered by sentences.
"""
