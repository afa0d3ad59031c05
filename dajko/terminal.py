"""How commands answer on a terminal: results as exit codes, what is wrong as sentences, signals as both."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Any

import click

from dajko.errors import InputError
from dajko.signals import Ended, answered, leave

DONE, SOME_FAILED, BAD_INPUT = 0, 1, 2
INCOMPLETE = 2


def with_answers(command: Callable[..., int]) -> Callable[..., None]:
    """Turn bad input into a sentence, and the result of a command into the exit code."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            code = command(*args, **kwargs)
        except InputError as error:
            say(error)
            code = BAD_INPUT
        except OSError as error:
            from dajko.study.store.disk import is_full, no_space, reason

            if not is_full(error):
                raise
            click.echo(f"dajko: {no_space(Path(error.filename or Path.cwd()), reason(error))}", err=True)
            code = BAD_INPUT
        sys.exit(code)

    return run


def say(sentences: object, about: object = None) -> None:
    """Tell people something beside the result, without characters that a terminal would obey."""
    from dajko.study.config.parse import printable

    for line in str(sentences).splitlines():
        click.echo(printable(f"dajko: {line}" if about is None else f"dajko: {about}: {line}"), err=True)


class Commands(click.Group):
    """The commands; what click has to say about wrong options is one line like all other errors, and so are signals."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        kwargs["standalone_mode"] = False
        try:
            with answered():
                super().main(*args, **kwargs)
            sys.exit(DONE)
        except Ended as ended:
            with suppress(OSError):  # the terminal may be gone
                click.echo(f"dajko: {ended.sentence}", err=True)
            leave(ended.code)
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
        except click.UsageError as error:
            command = error.ctx.command_path if error.ctx else "dajko"
            click.echo(f"dajko: {error.format_message().rstrip('.')}; see {command} --help", err=True)
        sys.exit(BAD_INPUT)
