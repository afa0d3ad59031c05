"""Run one slab of a study; what is in its store already is not computed again."""

import sys
from contextlib import suppress
from pathlib import Path

from dajko.errors import InputError
from dajko.study.commands.run import run_study, write_json
from dajko.study.config.cluster import LocalCluster
from dajko.study.config.parse import parse_studies


def main(snakemake):
    """Run the slab, and write its manifest if none of its cells is missing."""
    output = Path(snakemake.output[0]).absolute()
    studies = parse_studies(snakemake.config)
    study, cluster = studies.studies[snakemake.wildcards.study], studies.cluster
    if isinstance(cluster, LocalCluster) and cluster.workers is None:
        # What Snakemake has reserved: all cores of this machine, or those of a job on a cluster.
        cluster = cluster.model_copy(update={"workers": snakemake.threads})
    slab = int(snakemake.wildcards.slab)
    report = run_study(study, output.parents[1], cluster, slab=slab)
    if report.missing:
        raise InputError(f"{report.missing} cells could not be computed; {output.parents[1] / 'run.log'} says why")
    write_json(output, {"study": report.study, "study_hash": report.study_hash, "slab": slab})


if __name__ == "__main__":
    try:
        main(snakemake)  # noqa: F821
    except InputError as error:
        with suppress(OSError):  # the disk may be full, and the error say so
            Path(snakemake.log[0]).write_text(f"{error}\n")  # noqa: F821
        sys.exit(f"dajko: {error}")
