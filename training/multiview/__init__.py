"""Co-training of autoencoders whose latent spaces cannot be compared: section 4, eq. 14, for any number of views."""
