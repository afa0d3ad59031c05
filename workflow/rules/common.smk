from pathlib import Path

from snakemake.exceptions import WorkflowError

from dajko.errors import InputError
from dajko.report.captions import CAPTIONS
from dajko.study.code import code_hash
from dajko.study.parse import parse_studies, refuse_misreadable

try:
    for file in workflow.configfiles:
        refuse_misreadable(Path(file))  # Snakemake reads YAML 1.1, dajko 1.2
    STUDIES = parse_studies(config)
except InputError as error:
    raise WorkflowError(f"the configuration is not valid:\n{error}") from None

RESULTS = Path(STUDIES.results)


wildcard_constraints:
    study="|".join(STUDIES.studies),
    slab=r"\d+",


def slabs(wildcards):
    """What the jobs of a study leave behind, one file for each slab."""
    count = STUDIES.studies[wildcards.study].slabs
    return [
        RESULTS / wildcards.study / "slabs" / f"{slab}.done.json"
        for slab in range(count)
    ]


def study_config(wildcards):
    """The resolved configuration of a study: a job runs again when it changes."""
    return STUDIES.studies[wildcards.study].model_dump_json()
