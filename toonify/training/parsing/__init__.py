"""Training data and training of the network that parses faces."""
