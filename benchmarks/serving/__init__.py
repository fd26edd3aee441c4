"""How fast the service is: beside the bare computation, and beside plain servers of the same model."""
