"""Draw the figures of a study and write its tables."""

import sys
from pathlib import Path

from dajko.errors import InputError
from dajko.report.figures import plot_study

if __name__ == "__main__":
    try:
        plot_study(Path(snakemake.output.figures).absolute().parent)  # noqa: F821
    except InputError as error:
        Path(snakemake.log[0]).write_text(f"{error}\n")  # noqa: F821
        sys.exit(f"dajko: {error}")
