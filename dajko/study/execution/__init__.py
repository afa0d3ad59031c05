"""How tasks are computed: clusters, workers, tasks, progress."""
