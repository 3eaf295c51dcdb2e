"""The Wyoming server: wake words for Home Assistant and other clients, over TCP or
standard input and output.
"""
