"""Algorithm 1 of Pietschmann and Schlottbom: the splitting, its proximal maps, and the step without units."""
