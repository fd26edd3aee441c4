"""Section 6.1: Tables 1-3 and Figures 3-5, one training run per data set, method, recipe and seed."""
