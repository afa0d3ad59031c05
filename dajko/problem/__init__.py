"""What is solved: the problem of one step, and the step that comes of it."""
