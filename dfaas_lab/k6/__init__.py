"""k6: its script and options, running it on a generator, and reading its samples."""
