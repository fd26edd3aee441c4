"""A corpus of bodies and pictures made to hurt, all sent to the one shared service: answered soon and rightly."""

import base64
import gzip
import io
import socket
import struct
import time
import zlib

import httpx
import numpy as np
import pytest
from PIL import Image, PngImagePlugin

JSON = {"content-type": "application/json"}
RAMP = np.add.outer(np.arange(28), 3 * np.arange(28)).astype(np.uint8)  # symmetric in nothing
OTHER = 255 - RAMP


def error(reply):
    assert "Traceback" not in reply.text
    told = reply.json()["error"]
    return reply.status_code, told["code"], told["field"]


def saved(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width=28, height=28, *, between=b"", data=None, end=True):
    """A grey PNG put together by hand."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + row.tobytes() for row in RAMP)) if data is None else data
    tail = chunk(b"IEND", b"") if end else b""
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + between + chunk(b"IDAT", rows) + tail


def grey():
    return Image.fromarray(RAMP)


def palette():
    return grey().convert("P", palette=Image.Palette.ADAPTIVE, colors=16)


def orientation():
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    return exif


def script():
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "<script>alert(1)</script><?php system($_GET[0]); ?>")
    return text


def cut_out(data, kind):
    """A PNG without its chunk of that kind."""
    start = data.index(kind) - 4
    (size,) = struct.unpack_from(">I", data, start)
    return data[:start] + data[start + 12 + size :]


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 16]) + data[at + 1 :]


BOMB = zlib.compress(bytes(100_000_000), 9)  # 100 MB in 100 kB

READ = {  # what is a picture all the same, and which one
    "wrong mode: one bit": (saved(grey().convert("1")), np.asarray(grey().convert("1").convert("L"))),
    "wrong mode: palette": (saved(palette()), np.asarray(palette().convert("L"))),
    "wrong mode: grey and alpha": (saved(grey().convert("LA")), RAMP),
    "animated PNG": (saved(grey(), save_all=True, append_images=[Image.fromarray(OTHER)], duration=9), RAMP),
    "animated WebP": (
        saved(grey().convert("RGB"), "WEBP", save_all=True, append_images=[Image.fromarray(OTHER)], lossless=True),
        RAMP,
    ),
    "EXIF says turned": (saved(grey(), exif=orientation()), RAMP),
    "polyglot: PNG, then a ZIP": (png() + b"PK\x05\x06" + bytes(18), RAMP),
    "polyglot: PNG that holds a script": (saved(grey(), pnginfo=script()), RAMP),
    "colour profile that is none": (png(between=chunk(b"iCCP", b"x\0\0" + zlib.compress(b"none"))), RAMP),
    "fewer rows than the header says": (png(data=zlib.compress(bytes(29 * 14))), np.zeros_like(RAMP)),
    "more rows than the header says": (
        png(data=zlib.compress(b"".join(b"\0" + r.tobytes() for r in RAMP) + bytes(99))),
        RAMP,
    ),
}
REFUSED = {
    "palette without its colours": cut_out(saved(palette()), b"PLTE"),
    "bomb: a wide header": png(20_000, 20_000),
    "bomb: a side of two billion": png(2**31 - 1, 1),
    "bomb: no pixels at all": png(0, 0),
    "bomb: text that unfolds": png(between=chunk(b"zTXt", b"x\0\0" + BOMB)),
    "bomb: a profile that unfolds": png(56, 56, between=chunk(b"iCCP", b"x\0\0" + BOMB)),
    "truncated: no pixels": png()[:33],
    "truncated: JPEG": saved(grey(), "JPEG")[:300],
    "truncated: WebP": saved(grey(), "WEBP", lossless=True)[:-8],
    "a broken checksum": png()[:29] + b"oops" + png()[33:],
    "a flipped bit among the pixels": png(data=flipped(zlib.compress(RAMP.tobytes()), 40)),
    "pixels that are no zlib stream": png(data=b"nonsense"),
    "sixteen bits": saved(Image.fromarray(RAMP.astype(np.uint16) * 257)),
    "another format: GIF": saved(grey(), "GIF"),
    "another format: BMP": saved(grey(), "BMP"),
    "another format: TIFF": saved(grey(), "TIFF"),
    "another format: EPS, a program": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 28 28\n",
    "another format: SVG": b'<svg xmlns="http://www.w3.org/2000/svg" width="28" height="28"/>',
    "null bytes": bytes(1000),
    "a kilobyte of noise": np.random.default_rng(0).bytes(1000),
}


def encode(client, data):
    return client.post("/encode", json={"images": [base64.b64encode(data).decode()]})


@pytest.mark.parametrize("name", READ)
def test_odd_pictures_are_read_as_what_they_are(client, name):
    data, pixels = READ[name]
    assert encode(client, data).json() == encode(client, saved(Image.fromarray(pixels))).json()


@pytest.mark.parametrize("name", REFUSED)
def test_bad_pictures_are_refused(client, name):
    start = time.monotonic()
    assert error(encode(client, REFUSED[name])) == (400, "invalid_field", "images.0")
    assert time.monotonic() - start < 4


DEEP = 100_000
BODIES = {
    "deep lists": (b'{"x": ' + b"[" * DEEP + b"]" * DEEP + b"}", (400, "malformed_json", None)),
    "deep objects": (b'{"x": ' + b'{"a":' * 40 + b"1" + b"}" * 40 + b"}", (400, "invalid_field", "x")),
    "very deep objects": (b'{"a":' * DEEP + b"1" + b"}" * DEEP, (400, "invalid_request", None)),
    "NaN": (b'{"x": [[NaN]]}', (400, "invalid_field", "x.0.0")),
    "a number beyond all": (b'{"x": [[1e999]]}', (400, "invalid_field", "x.0.0")),
    "a number of a million digits": (b'{"x": [[' + b"9" * 10**6 + b"]]}", (400, "malformed_json", None)),
    "invalid UTF-8": (b'{"model": "\xc3\x28"}', (400, "malformed_json", None)),
    "a lone surrogate": (b'{"model": "\\ud800"}', (400, "malformed_json", None)),
    "UTF-16": ('{"x": []}'.encode("utf-16"), (400, "malformed_json", None)),
    "a byte order mark": (b'\xef\xbb\xbf{"x": []}', (400, "malformed_json", None)),
    "a null byte": (b'{"x": []}\0', (400, "malformed_json", None)),
    "a null in a name": (b'{"model": "al\\u0000pha", "images": ["AAAA"]}', (404, "unknown_model", "model")),
    "null bytes alone": (bytes(1000), (400, "malformed_json", None)),
    "two documents": (b'{"x": []}{"x": []}', (400, "malformed_json", None)),
    "a comment": (b'{"x": [] /* all */}', (400, "malformed_json", None)),
    "half a document": (b'{"x": [[0.5', (400, "malformed_json", None)),
    "white space without end": (b" " * 7_000_000, (400, "malformed_json", None)),
    "a text of megabytes": (b'{"model": "' + b"a" * 7_000_000 + b'"}', (400, "invalid_field", "model")),
    "a field's name of megabytes": (b'{"' + b"a" * 7_000_000 + b'": 1}', (400, "invalid_field", "a" * 64)),
    "escapes alone": (b'{"images": ["' + b"\\u0041" * 1_000_000 + b'"]}', (400, "invalid_field", "images.0")),
}


@pytest.mark.parametrize("name", BODIES)
def test_bad_bodies_are_refused(client, name):
    body, expected = BODIES[name]
    start = time.monotonic()
    reply = client.post("/encode", content=body, headers=JSON)
    assert error(reply) == expected
    assert len(reply.content) < 1000
    assert time.monotonic() - start < 4


def test_of_keys_that_repeat_the_last_counts(client):
    reply = client.post("/sample", content=b'{"n": 999, "n": 1, "seed": 1, "\\u006e": 2}', headers=JSON)
    assert len(reply.json()["images"]) == 2


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "gzip, identity"])
def test_compressed_bodies_are_not_unpacked(client, coding):
    body = gzip.compress(b'{"n": 1}' + b" " * 10**7)
    reply = client.post("/sample", content=body, headers=JSON | {"content-encoding": coding})
    assert error(reply) == (415, "unsupported_media_type", None)


HEADS = {
    "two lengths": b"POST /sample HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 30\r\n\r\n{}",
    "a length and chunks": (
        b"POST /sample HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\n\r\nGET /models HTTP/1.1\r\nHost: x\r\n\r\n"
    ),
    "a negative length": b"POST /sample HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n{}",
    "a length of a googol": b"POST /sample HTTP/1.1\r\nHost: x\r\nContent-Length: 1" + b"0" * 100 + b"\r\n\r\n{}",
    "a chunk of a size that is none": (
        b"POST /sample HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"
    ),
    "a name with a null": b"POST /sample HTTP/1.1\r\nHo\0st: x\r\nContent-Length: 2\r\n\r\n{}",
    "a folded header": b"POST /sample HTTP/1.1\r\nHost: x\r\n Content-Length: 2\r\n\r\n{}",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
}


@pytest.mark.parametrize("name", HEADS)
def test_bad_heads_end_the_connection(client, name):
    """Above all, none is taken for two requests."""
    url = client.base_url
    with socket.create_connection((url.host, url.port), timeout=30) as connection:
        connection.sendall(HEADS[name])
        received = b""
        while part := connection.recv(65536):
            received += part
    assert received.startswith(b"HTTP/1.1 400 ") or not received
    assert received.count(b"HTTP/1.1") <= 1
    assert httpx.get(url.join("/livez")).status_code == 200
