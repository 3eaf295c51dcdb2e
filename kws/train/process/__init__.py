"""The process that trains: its memory, its threads, its stop, its progress bar."""
