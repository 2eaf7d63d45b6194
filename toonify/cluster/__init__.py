"""One run's photographs drawn by many machines, on Ray (the extra `toonify-toolkit[cluster]`)."""
