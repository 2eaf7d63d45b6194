"""Every file format in and out."""

from toonify.checkpoints.safetensors_io import file_sha256, generator_hash

__all__ = ["file_sha256", "generator_hash"]
