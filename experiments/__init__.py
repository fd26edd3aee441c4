"""The paper's tables and figures, ours beside them: a client of `training`, which knows nothing of it."""
