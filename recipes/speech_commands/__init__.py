"""Google Speech Commands: 35 classes, and 12."""
