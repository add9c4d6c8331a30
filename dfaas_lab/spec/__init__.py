"""The description of a run: checked, previewed, written to its manifest and read back."""
