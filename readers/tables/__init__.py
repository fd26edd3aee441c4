"""Tables of one's own, CSV, .npy or .h5ad, to arrays and to what each row describes."""
