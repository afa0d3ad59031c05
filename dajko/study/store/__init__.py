"""The stores of a study: made, written, checked, mended, and read with labels."""
