"""Write the summary of a study and the manifest that says it is complete."""

import sys
from pathlib import Path

from dajko.errors import InputError
from dajko.study.commands.run import finish

if __name__ == "__main__":
    try:
        finish(Path(snakemake.output[0]).absolute().parent)  # noqa: F821
    except InputError as error:
        Path(snakemake.log[0]).write_text(f"{error}\n")  # noqa: F821
        sys.exit(f"dajko: {error}")
