"""A run, from what is asked to what is stored: orders, iterations on their way, their end."""
