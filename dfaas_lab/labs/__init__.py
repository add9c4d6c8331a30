"""How a lab comes to be, is made ready, and is looked at."""
