"""What the frames of a run say: statistics, comparison, and whether to believe them."""
