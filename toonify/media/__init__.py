"""Image files in and out."""

from toonify.media.images import (
    IMAGE_SUFFIXES,
    Image,
    encode_image,
    iter_images,
    read_image,
    write_image,
)

__all__ = [
    "IMAGE_SUFFIXES",
    "Image",
    "encode_image",
    "iter_images",
    "read_image",
    "write_image",
]
