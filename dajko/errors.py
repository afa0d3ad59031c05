"""The one kind of exception that dajko raises on purpose."""


class InputError(ValueError):
    """Something that the user gave cannot be used; the message says which key, what was wrong and what is allowed."""
