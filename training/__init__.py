"""Torch lives here: models, objectives, the training loop and its evaluation, of one view or of several.

A run, in the order of its data:

    config, recipes, methods       what a run can be told, what a recipe fills in, what a method asks of a model
    networks, autoencoder          encoder and decoder; with a prior, one view
    autoencoders                   one autoencoder per view, and what joins them: what a run trains, saves and exports
    objectives                     what a step minimises, a file per method
    task, image_task               what the loop asks of a kind of training; images
    multiview                      several views: their batches, their objective, their task
    loop, distributed, shuffle     the steps; a batch over processes; the order of rows
    run_folder, logs               the run folder: how it is written, how it is read
    refit                          the prior's last fits
    runs                           a run read back, and scored
    evaluation, pictures, metrics  scores of images, grids, and the measures behind them
"""
