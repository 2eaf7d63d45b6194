"""The six hairdos: what hangs behind the head, what lies before it, and what is worn in it."""

from . import bram, jun, kit, mina, nana, zuri

__all__ = ["bram", "jun", "kit", "mina", "nana", "zuri"]
