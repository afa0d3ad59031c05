"""Write the page that shows all studies."""

import sys
from pathlib import Path

from dajko.errors import InputError
from dajko.report.page import write_page

if __name__ == "__main__":
    try:
        write_page(Path(snakemake.output[0]).absolute().parent, snakemake.params.studies)  # noqa: F821
    except InputError as error:
        Path(snakemake.log[0]).write_text(f"{error}\n")  # noqa: F821
        sys.exit(f"dajko: {error}")
