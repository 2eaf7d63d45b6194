"""What trainings read: drawings, photographs, sampled latents."""

from toonify.training.data.drawings import Drawings, load_drawings

__all__ = ["Drawings", "load_drawings"]
