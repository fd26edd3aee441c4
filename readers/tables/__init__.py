"""Tables of one's own, CSV or .npy, to arrays and to what each row describes."""
