"""The transport solver: the quadratic problem, annealing, point clouds, potentials, and one dimension."""
