"""Which cells a study has: points, members, seeds, and the identity of each."""
