# The workflow lives in workflow/; this lets plain `snakemake` find it.
include: "workflow/Snakefile"


# An included file cannot choose the default target.
workflow.default_target = "all"
