"""Self-contained pages, curves and event files of trainings and tables."""
