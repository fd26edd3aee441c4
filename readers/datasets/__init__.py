"""The data sets of the paper, read as their authors publish them, and checked."""
