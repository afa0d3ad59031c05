rule paper:
    # Asked for by name, with the studies of config/paper.
    input:
        expand(RESULTS / "{study}" / "study.done.json", study=STUDIES.studies),
    output:
        page=report(
            RESULTS / "paper.html",
            caption="../report/paper.rst",
            category="Report",
            labels={"page": "paper.html"},
        ),
        markdown=RESULTS / "paper.md",
        figures=directory(RESULTS / "figures" / "paper"),
    log:
        RESULTS / "logs" / "paper.log",
    conda:
        "../envs/dajko.yaml"
    params:
        files=[str(file) for file in workflow.configfiles],
    message:
        "Setting the paper beside what was computed"
    script:
        "../scripts/write_paper.py"
