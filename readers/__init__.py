"""What people have becomes arrays: tables, folders of pictures, arrays, and the data sets of the paper.

    loaders                data sets by name: `load_images`, `load_views`; a new one is a function and a line there
    image_data             images, split into a training and a test part
    views_data, subsets    objects seen through several views, split into three parts; parts of these
    origins                features far from 0, which float32 alone would round
    pictures               picture files, folders of them and arrays to pixels: the rule of docs/pictures.md
    tables                 CSV, .npy and .h5ad files to arrays: the rules of docs/tables.md
    datasets               MNIST, digits, CelebA, and the collection of several views
    errors, folders, atomic, json_objects    what is refused; folders as they are named; files written whole, and read

Nothing here knows of models or of training.
"""
