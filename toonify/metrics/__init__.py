"""Distances between pictures that losses and evaluations share."""
