"""What a step is worth, whoever computed it: duality gap, optimality conditions, mass, sign. No solver is imported here."""
