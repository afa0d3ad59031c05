"""Write the page that shows all studies, and the short one for Snakemake's report."""

import sys
from pathlib import Path

from dajko.errors import InputError
from dajko.report.overview import write_overview
from dajko.report.page import studies_in, write_page
from dajko.study.config.parse import parse_studies


def main(snakemake):
    """The studies of the configuration come first, in its order; the others in the directory follow."""
    results = Path(snakemake.output.page).absolute().parent
    studies = list(parse_studies(snakemake.config).studies)
    try:
        write_overview(results, studies)
        write_page(results, list(dict.fromkeys([*studies, *studies_in(results)])))
    except InputError as error:
        Path(snakemake.log[0]).write_text(f"{error}\n")
        sys.exit(f"dajko: {error}")


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
