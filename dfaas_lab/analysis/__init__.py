"""Statistics of a run's frames: intervals, comparisons of runs, and the verdict."""
