"""Networks that read latents from photographs."""
