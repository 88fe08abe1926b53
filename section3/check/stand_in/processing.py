"""In the place of the company's code: takes what begins as a JPEG, and returns it without its segments of metadata."""

import os

from exif import JPEG, JPEG_METADATA, jpeg_markers

VERSION = "stand-in-1"


def process(original: bytes) -> tuple[bytes, dict]:
    if not original.startswith(JPEG):
        raise ValueError("not a JPEG")
    if b"CRASH" in original:
        raise MemoryError("as a decoder that a hostile image breaks")
    if b"ABORT" in original:
        os.abort()
    return without_metadata(original), {"width": 640, "height": 480.0, "format": "jpeg", "gps": "52.52,13.40"}


def without_metadata(image: bytes) -> bytes:
    result, at = bytearray(JPEG), len(JPEG)
    for marker in jpeg_markers(image):
        end = at + 2 + int.from_bytes(image[at + 2 : at + 4], "big")
        if marker not in JPEG_METADATA:
            result += image[at:end]
        at = end
    return bytes(result) + image[at:]
