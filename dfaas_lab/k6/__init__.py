"""k6: what is sent to it, how it is run on a generator, and what comes back."""
