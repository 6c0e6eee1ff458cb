"""Tells kinds of image files by the endings of their names and by their first bytes."""

import posixpath

SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff",
)  # fmt: skip
NAMES = "PNG, JPEG, WebP, BMP, GIF or TIFF"
# Other files that hold images. They are counted, so that nobody misses photographs.
_NOT_READ = frozenset(
    # of phones and browsers, and of printing and drawing programs
    ".heic .heif .hif .avif .jxl .jp2 .j2k .jpf .jpx .j2c .jxr .wdp "
    ".psd .psb .xcf .kra .svg .svgz .ai .eps .ps .pdf .ico .icns .tga .pcx .dds "
    ".ppm .pgm .pbm .pnm .pam .pfm .exr .hdr .sgi .fits .dcm .dib .apng .mpo .jps "
    # raw photographs of cameras
    ".dng .cr2 .cr3 .crw .nef .nrw .arw .srf .sr2 .raf .orf .rw2 .pef .srw .x3f "
    ".3fr .fff .iiq .erf .mrw .raw .rwl "
    # videos
    ".mp4 .m4v .mov .avi .mkv .webm .mpg .mpeg .wmv .3gp .mts".split()
)
PACKED = frozenset(".tar .tgz .tbz2 .txz .gz .bz2 .xz .zst .7z .rar".split())
NO_SUFFIX = "without an ending"
_SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF8": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",  # larger than 4 GiB, or able to be
    b"MM\0+": "TIFF",
}
_OTHER_IMAGES = {
    b"\0\0\0\x0cJXL ": "a JPEG XL file",
    b"\xff\x0a": "a JPEG XL file",
    b"\0\0\0\x0cjP  ": "a JPEG 2000 file",
    b"\xff\x4f\xff\x51": "a JPEG 2000 file",
    b"8BPS": "a Photoshop file",
    b"%PDF": "a PDF file",
    b"%!PS": "a PostScript file",
    b"<svg": "an SVG drawing",
}
_NO_IMAGES = {
    b"<!DOCTYPE": "a web page",
    b"<!doctype": "a web page",
    b"<html": "a web page",
    b"PK\x03\x04": "a zip file",
    b"\x1f\x8b": "a gzip file",
    b"version https://git-lfs": "a pointer of Git LFS",
}
_BRANDS = {
    b"heic": "HEIC", b"heix": "HEIC", b"heim": "HEIC", b"heis": "HEIC",
    b"hevc": "HEIC", b"hevx": "HEIC", b"mif1": "HEIC", b"msf1": "HEIC",
    b"avif": "AVIF", b"avis": "AVIF", b"crx ": "raw CR3",
}  # fmt: skip


def suffix(name: str) -> str:
    """The ending of a file's name in lower case, as ".png"; "" if it has none."""
    return posixpath.splitext(name)[1].lower()


def not_read(name: str) -> str:
    """The ending of a file name, if it is that of an image kind that is not read.

    Returns:
        As ".heic"; "" for a kind that is read, and for files that hold no image.
    """
    kind = suffix(name)
    if kind in _NOT_READ | PACKED:
        return kind
    # As ".jpg_large" and ".png~": renamed by a browser or an editor.
    renamed = kind not in SUFFIXES and kind.startswith((".png", ".jp", ".webp"))
    return kind if renamed else ""


def known(data: bytes) -> str:
    """The kind of an image by its first 16 bytes, as "PNG"; "" if it is not read."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    return _starting(_SIGNATURES, data)


def instead(data: bytes) -> str:
    """Says what an unreadable file is, by its content, and what to do about it."""
    if not data:
        return "an empty file; leave it out or save it anew"
    if (kind := known(data)) == "TIFF":
        return "a damaged TIFF, or of a rare kind of pixels; save it as PNG or JPEG"
    if kind:
        return f"a damaged or cut off {kind}; fetch or save it again"
    if kind := _other_image(data):
        return f"{kind}, which is not read; convert it to PNG or JPEG"
    if kind := _starting(_NO_IMAGES, data):
        return f"{kind}, not an image; fetch the image itself"
    return (
        f"not an image that can be read (expected {NAMES}); leave it out or save it "
        "anew"
    )


def _other_image(data: bytes) -> str:
    if data[4:8] == b"ftyp" and data[8:12] in _BRANDS:
        brand = _BRANDS[data[8:12]]
        return f"{'an' if brand == 'AVIF' else 'a'} {brand} file"
    return _starting(_OTHER_IMAGES, data)


def _starting(signatures: dict[bytes, str], data: bytes) -> str:
    starts = data, data[:64].lstrip()  # texts may begin with spaces
    return next(
        (kind for sign, kind in signatures.items()
         if any(start.startswith(sign) for start in starts)), ""
    )  # fmt: skip
