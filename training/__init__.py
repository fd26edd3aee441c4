"""Torch lives here: data, models, relational regularizers, the training loop and its evaluation.

A run, in the order of its data:

    config      what a run can be told         data         checked images in memory
    methods, recipes                           what a method is, and the settings a recipe gives it
    networks, prior, autoencoder, gaussian     the model
    objectives  what a step minimises          loop         the steps; distributed: over processes
    runs, logs  the run folder                 refit        the prior's last fits
    evaluation, pictures, report, markdown     scores, grids, docs/results
    metrics     measures of samples and codes, and the small network whose features they see

The transport core, which knows nothing of a run; start at the first line:

    regularizers, sliced, invariant, several   distances between latent distributions, with gradients
    transport, certificate                     plans, and a better look at them
    distances, inner                           costs between and within spaces
    clouds, problem, annealing                 the solver
    compiled, native/                          the same in C, for small problems on the CPU
    line, quantiles, sorting                   one dimension
    checks                                     what all of them ask of their input
"""
