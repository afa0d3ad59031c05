rule simulate:
    # The store is no output: Snakemake would delete it when a job fails. It says itself which cells are still to do.
    output:
        RESULTS / "{study}" / "slabs" / "{slab}.done.json",
    log:
        RESULTS / "{study}" / "logs" / "simulate-{slab}.log",
    # It takes all cores: tables and figures of all studies come afterwards, side by side.
    priority: 1
    conda:
        "../envs/dajko.yaml"
    threads: workflow.resource_settings.cores or 1
    resources:
        dask=1,
    params:
        study=study_digest,
        code=study_code,
    message:
        "Simulating {wildcards.study}, slab {wildcards.slab}"
    script:
        "../scripts/simulate_study.py"


rule summarise:
    input:
        slabs,
    output:
        RESULTS / "{study}" / "study.done.json",
    log:
        RESULTS / "{study}" / "logs" / "summarise.log",
    conda:
        "../envs/dajko.yaml"
    message:
        "Summarising {wildcards.study}"
    script:
        "../scripts/summarise_study.py"
