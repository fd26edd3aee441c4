"""All that is promised of a GPU, shown by one command there: tests, counts, times, whole runs, and the service."""
