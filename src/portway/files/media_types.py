"""The media type of a file by its extension, from a table of our own.

The system's tables (/etc/mime.types, and with them Python's `mimetypes`) differ from machine to machine, and
a stylesheet that is text/css on one host and application/octet-stream on the next is a page without style,
since `nosniff` forbids the browser to guess. The same name gives the same answer everywhere. No I/O, any
thread.
"""

#: For files whose extension says nothing: browsers offer to save them and, with nosniff, never run them.
DEFAULT = "application/octet-stream"

_TYPES = {
    # Text for browsers (RFC 9239 made text/javascript the one name of JavaScript).
    "css": "text/css",
    "htm": "text/html",
    "html": "text/html",
    "js": "text/javascript",
    "mjs": "text/javascript",
    "csv": "text/csv",
    "ics": "text/calendar",
    "log": "text/plain",
    "markdown": "text/markdown",
    "md": "text/markdown",
    "rst": "text/plain",
    "tsv": "text/tab-separated-values",
    "txt": "text/plain",
    "vcf": "text/vcard",
    "vtt": "text/vtt",
    # Data. JSON is UTF-8 by definition (RFC 8259) and XML declares its own encoding: neither gets a charset.
    "atom": "application/atom+xml",
    "geojson": "application/geo+json",
    "json": "application/json",
    "jsonld": "application/ld+json",
    "map": "application/json",
    "rss": "application/rss+xml",
    "wasm": "application/wasm",
    "webmanifest": "application/manifest+json",
    "xht": "application/xhtml+xml",
    "xhtml": "application/xhtml+xml",
    "xml": "application/xml",
    "xsd": "application/xml",
    "xsl": "application/xslt+xml",
    "xslt": "application/xslt+xml",
    "yaml": "application/yaml",
    "yml": "application/yaml",
    # Images.
    "apng": "image/apng",
    "avif": "image/avif",
    "bmp": "image/bmp",
    "cur": "image/vnd.microsoft.icon",
    "gif": "image/gif",
    "heic": "image/heic",
    "heif": "image/heif",
    "ico": "image/vnd.microsoft.icon",
    "jfif": "image/jpeg",
    "jpe": "image/jpeg",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "jxl": "image/jxl",
    "png": "image/png",
    "svg": "image/svg+xml",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "webp": "image/webp",
    # Sound and moving pictures.
    "3gp": "video/3gpp",
    "aac": "audio/aac",
    "avi": "video/x-msvideo",
    "flac": "audio/flac",
    "m3u8": "application/vnd.apple.mpegurl",
    "m4a": "audio/mp4",
    "m4s": "video/iso.segment",
    "m4v": "video/mp4",
    "mid": "audio/midi",
    "midi": "audio/midi",
    "mkv": "video/matroska",
    "mov": "video/quicktime",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "mpd": "application/dash+xml",
    "mpeg": "video/mpeg",
    "mpg": "video/mpeg",
    "oga": "audio/ogg",
    "ogg": "audio/ogg",
    "ogv": "video/ogg",
    "opus": "audio/ogg",
    "ts": "video/mp2t",
    "wav": "audio/wav",
    "weba": "audio/webm",
    "webm": "video/webm",
    # Fonts.
    "eot": "application/vnd.ms-fontobject",
    "otf": "font/otf",
    "ttc": "font/collection",
    "ttf": "font/ttf",
    "woff": "font/woff",
    "woff2": "font/woff2",
    # Documents.
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "epub": "application/epub+zip",
    "odp": "application/vnd.oasis.opendocument.presentation",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "odt": "application/vnd.oasis.opendocument.text",
    "pdf": "application/pdf",
    "ppt": "application/vnd.ms-powerpoint",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "rtf": "application/rtf",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    # Archives: sent as what they are, never as a coding of what is inside.
    "7z": "application/x-7z-compressed",
    "br": "application/x-brotli",
    "bz2": "application/x-bzip2",
    "gz": "application/gzip",
    "jar": "application/java-archive",
    "rar": "application/vnd.rar",
    "tar": "application/x-tar",
    "tgz": "application/gzip",
    "xz": "application/x-xz",
    "zip": "application/zip",
    "zst": "application/zstd",
}

#: Whole names that mean something without an extension (RFC 8615 and Apple's documents).
_NAMES = {
    "apple-app-site-association": "application/json",
}


def media_type(name: str) -> str:
    """Return the value of Content-Type for a file name, with `charset=utf-8` for text.

    name: the last segment or the whole path; case does not matter.
    """
    base = name.rpartition("/")[2].lower()
    stem, dot, extension = base.rpartition(".")
    found = _TYPES.get(extension, DEFAULT) if dot and stem else _NAMES.get(base, DEFAULT)
    if found.startswith("text/"):
        return found + "; charset=utf-8"
    return found


def is_active(content_type: str) -> bool:
    """True for types that browsers show as a document with its scripts: HTML, and XML of any kind, SVG too.

    PDF is not among them: its viewers run no script of the site's origin, and Chrome's refuses to open in a
    sandbox.
    """
    essence = content_type.partition(";")[0]
    return essence == "text/html" or essence == "application/xml" or essence.endswith("+xml")
