"""From the files of a corpus to manifest.csv: which clips there are, which are of use, how
they are split.
"""
