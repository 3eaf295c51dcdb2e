"""The lab: mixers compared on the same data, what their attention does, and how smooth they are."""
