"""Replaying recordings through a system, as a microphone would give them."""
