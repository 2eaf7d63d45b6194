"""One run's photographs and clips drawn by many machines, on Ray (the extra `cluster`)."""
