"""Writes a checkpoint as the one .onnx file that is the product (installed as
kws.export).
"""
