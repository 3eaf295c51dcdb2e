"""From a checkpoint to the one .onnx file that is the product (installed as
kws.export).
"""
