"""How the default bundle is made."""
