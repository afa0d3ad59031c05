"""Driving energies: their parts are the families internal, potential and interaction; together they are an Energy."""
