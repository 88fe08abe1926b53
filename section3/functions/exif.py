"""Whether an image that is about to be published carries metadata: EXIF, XMP, IPTC, comments."""

from __future__ import annotations

from collections.abc import Iterator

JPEG, PNG = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
# APP0 is JFIF, APP2 a colour profile, APP14 the colour transform of Adobe. APP1 is EXIF and XMP, APP13 IPTC, FE a
# comment.
JPEG_METADATA = {*range(0xE1, 0xF0), 0xFE} - {0xE2, 0xEE}
JPEG_SCAN, JPEG_END = 0xDA, 0xD9
PNG_METADATA = {b"eXIf", b"iTXt", b"tEXt", b"zTXt", b"tIME"}


def content_type(image: bytes) -> str:
    """Raises ValueError unless the image is a JPEG or a PNG, the formats that are published."""
    if image.startswith(JPEG):
        return "image/jpeg"
    if image.startswith(PNG):
        return "image/png"
    raise ValueError("neither a JPEG nor a PNG")


def carries_metadata(image: bytes) -> bool:
    if content_type(image) == "image/jpeg":
        return any(marker in JPEG_METADATA for marker in jpeg_markers(image))
    return any(kind in PNG_METADATA for kind in png_chunks(image))


def jpeg_markers(image: bytes) -> Iterator[int]:
    """The markers of segments before the pixels; after them a JPEG has no segments of metadata."""
    at = len(JPEG)
    while at + 4 <= len(image) and image[at] == 0xFF and image[at + 1] not in (JPEG_SCAN, JPEG_END):
        yield image[at + 1]
        at += 2 + int.from_bytes(image[at + 2 : at + 4], "big")


def png_chunks(image: bytes) -> Iterator[bytes]:
    at = len(PNG)
    while at + 8 <= len(image):
        yield image[at + 4 : at + 8]
        at += 12 + int.from_bytes(image[at : at + 4], "big")
