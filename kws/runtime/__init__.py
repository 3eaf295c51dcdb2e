"""The device wing: numpy and onnxruntime, nothing else."""
