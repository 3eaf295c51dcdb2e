"""Training a teacher of phones out of Whisper's encoder."""
