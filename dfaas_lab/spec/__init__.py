"""What is written down of a run beside its numbers, and running it again from that."""
