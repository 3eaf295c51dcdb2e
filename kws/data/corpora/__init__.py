"""One corpus a file: download() and prepare(). The only place that may use the network."""
