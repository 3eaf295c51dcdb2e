"""Makes manifest.csv from the files of a corpus: lists the clips, leaves out those that
cannot be used, and splits the rest.
"""
