"""The `kws` command: the entry, the options that verbs share, and one module per
verb.
"""
