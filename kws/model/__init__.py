"""The training wing's networks: frontend, mixers, encoder and CTC head, all of them
streaming layers.
"""
