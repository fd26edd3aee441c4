"""The web page: its own process, a client of the service's HTTP API and nothing else."""
