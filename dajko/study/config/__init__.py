"""What a study is: the file, checked; no computation."""
