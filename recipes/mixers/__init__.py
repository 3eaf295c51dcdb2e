"""The mixer lab: BiLSTM, self-attention, XSA and others in the same small models."""
