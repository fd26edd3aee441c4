"""What `relatent.align` is made of: geometries, spread-out anchors, starts, annealed entropic steps, and trust."""
