"""The cast which the default bundle is trained on."""
