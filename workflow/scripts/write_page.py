"""Write the page that shows all studies."""

from pathlib import Path

from dajko.report.page import write_page

if __name__ == "__main__":
    write_page(Path(snakemake.output[0]).absolute().parent, snakemake.params.studies)  # noqa: F821
