"""The one kind of exception that dajko raises on purpose, and the one kind of warning."""


class InputError(ValueError):
    """Something that the user gave cannot be used; the message says which key, what was wrong and what is allowed."""


class DamageWarning(UserWarning):
    """Something in a store is not as it was written; the message says what, what it means, and what mends it."""
