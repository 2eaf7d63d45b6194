"""Training a compact HFGI: sampled faces before and after known edits, and photographs."""
