"""Draws the images of the sample posts into media/: run it again after changing it, and commit what it makes.

The drawings are SVG with colours of their own for the dark; the two pictures are PNG, written without help.
"""

import random
import struct
import zlib
from pathlib import Path

MEDIA = Path(__file__).parent / "media"
STYLE = """<style>
:root { --ink: #23211e; --faded: #69625a; --rule: #c9c1b4; --soft: #efe9df; --accent: #9c3d1c }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4dfd5; --faded: #a49c90; --rule: #57514a; --soft: #2b2824; --accent: #eba17f }
}
text { font: 14px system-ui, sans-serif; fill: var(--ink) }
.faded { fill: var(--faded) }
.end { text-anchor: end }
.mid { text-anchor: middle }
.line { fill: none; stroke: var(--ink); stroke-width: 1.5 }
.thin { fill: none; stroke: var(--rule) }
.accent { fill: none; stroke: var(--accent); stroke-width: 2 }
.soft { fill: var(--soft) }
.dot { fill: var(--accent) }
</style>"""


def svg(name: str, width: int, height: int, *shapes: str) -> None:
    """Write a drawing."""
    sizes = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {sizes}>'
    (MEDIA / name).write_text("\n".join([head, STYLE, *shapes, "</svg>\n"]), encoding="utf-8")


def png(rows: list[list[int]], bits: int) -> bytes:
    """Return a grey picture; the values of `rows` have that many bits (1 or 8)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    def packed(row: list[int]) -> bytes:
        if bits == 8:
            return bytes(row)
        padded = row + [0] * (-len(row) % 8)
        return bytes(int("".join(map(str, padded[i : i + 8])), 2) for i in range(0, len(padded), 8))

    head = struct.pack(">IIBBBBB", len(rows[0]), len(rows), bits, 0, 0, 0, 0)
    data = b"".join(b"\0" + packed(row) for row in rows)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(data, 9))
        + chunk(b"IEND", b"")
    )


def journey() -> None:
    """Four stations between a reader and a page."""
    names = (("Browser", "asks"), ("Proxy", "ends TLS"), ("Server", "checks"), ("Application", "answers"))
    shapes = []
    for number, (name, what) in enumerate(names):
        x = 4 + number * 133
        shapes.append(f'<rect class="soft" x="{x}" y="36" width="97" height="70" rx="4"/>')
        shapes.append(f'<text class="mid" x="{x + 48}" y="66">{name}</text>')
        shapes.append(f'<text class="mid faded" x="{x + 48}" y="88">{what}</text>')
        if number:
            shapes.append(f'<path class="accent" d="M{x - 32} 60h26m-6 -5l6 5l-6 5"/>')
            shapes.append(f'<path class="line" d="M{x - 4} 84h-26m6 -5l-6 5l6 5"/>')
    shapes.append('<text class="faded" x="4" y="22">request →</text>')
    shapes.append('<text class="faded end" x="500" y="132">← response</text>')
    svg("journey.svg", 504, 142, *shapes)


def measure() -> None:
    """Three columns of grey lines, and the way back in each."""
    chance = random.Random(66)  # noqa: S311 (the same lines each time)
    words, shapes, x = [], [], 10
    for width, label in ((88, "30"), (194, "66"), (324, "110")):
        ends = []
        for line in range(9):
            y, length = 16 + line * 17, width if line not in (4, 8) else width * 0.55
            at = x
            while at < x + length - 4:
                word = min(chance.choice((8, 14, 20, 26, 32)), x + length - at)
                words.append(f"M{at:.0f} {y + 3}h{word:.0f}")
                at += word + 4
            ends.append(y)
        back = f"M{x + width} {ends[1] + 9}L{x} {ends[2] - 3}"
        shapes.append(f'<path class="accent" stroke-dasharray="1 4" stroke-linecap="round" d="{back}"/>')
        shapes.append(f'<text class="faded" x="{x}" y="186">{label}</text>')
        x += width + 17
    lines = f'<path fill="none" stroke="var(--rule)" stroke-width="6" d="{"".join(words)}"/>'
    svg("measure.svg", 660, 198, lines, *shapes)


def canon() -> None:
    """Van de Graaf's construction on a double page of 2 : 3."""

    def at(x: float, y: float) -> str:
        return f"{330 + x * 120:.1f} {20 + y * 120:.1f}"

    def lines(kind: str, *points: tuple[float, float]) -> str:
        return f'<path class="{kind}" d="M{"L".join(at(*point) for point in points)}"/>'

    inner, outer, upper, lower = 2 / 9, 14 / 9, 1 / 3, 7 / 3
    shapes = [
        lines("line", (-2, 0), (2, 0), (2, 3), (-2, 3), (-2, 0)),
        lines("line", (0, 0), (0, 3)),
        lines("soft", (inner, upper), (outer, upper), (outer, lower), (inner, lower)),
        lines("soft", (-inner, upper), (-outer, upper), (-outer, lower), (-inner, lower)),
        lines("thin", (-2, 3), (2, 0)),
        lines("thin", (2, 3), (-2, 0)),
        lines("thin", (-2, 3), (0, 0), (2, 3)),
        lines("accent", (2 / 3, 1), (2 / 3, 0), (-2 / 3, 1)),
    ]
    shapes += [
        f'<circle class="dot" r="4" cx="{at(x, y).split()[0]}" cy="{at(x, y).split()[1]}"/>'
        for x, y in ((2 / 3, 1), (-2 / 3, 1), (2 / 9, 1 / 3))
    ]
    svg("canon.svg", 660, 400, *shapes)


def queue() -> None:
    """Time in the system over load, for one thread and chance."""

    def at(load: float, times: float) -> tuple[float, float]:
        return 52 + load * 440, 270 - times * 12

    points = " ".join("{:.1f},{:.1f}".format(*at(load / 200, 1 / (1 - load / 200))) for load in range(191))
    shapes = ['<path class="line" d="M52 20V270H496"/>', f'<polyline class="accent" points="{points}"/>']
    for load, times in ((0.5, 2), (0.8, 5), (0.9, 10), (0.95, 20)):
        x, y = at(load, times)
        shapes.append(f'<path class="thin" stroke-dasharray="3 3" d="M52 {y:.0f}H{x:.0f}V270"/>')
        shapes.append(f'<circle class="dot" r="4" cx="{x:.0f}" cy="{y:.0f}"/>')
        shapes.append(f'<text class="end faded" x="44" y="{y + 5:.0f}">{times} ×</text>')
        shapes.append(f'<text class="mid faded" x="{x:.0f}" y="290">{load * 100:.0f}</text>')
    shapes.append('<text x="64" y="30">time, against an idle server</text>')
    shapes.append('<text class="faded" x="52" y="290">busy, per cent</text>')
    svg("queue.svg", 504, 300, *shapes)


def bayer(n: int) -> list[list[int]]:
    """Return the 2^n by 2^n matrix of the numbers from 0 to 4^n - 1."""
    if n == 0:
        return [[0]]
    half = bayer(n - 1)
    top = [[4 * v for v in row] + [4 * v + 2 for v in row] for row in half]
    bottom = [[4 * v + 3 for v in row] + [4 * v + 1 for v in row] for row in half]
    return top + bottom


def dither() -> None:
    """A gradient in grey, and below it in black and white; each point is two by two pixels."""
    width, height, matrix = 330, 70, bayer(3)
    chance = random.Random(1973)  # noqa: S311 (the same noise each time)

    def grey(x: int) -> float:
        return x / (width - 1)

    smooth = [[round(grey(x) * 255) for x in range(width)] for _ in range(height)]
    points = [[int(grey(x) * 64 > matrix[y % 8][x % 8] + 0.5) for x in range(width)] for y in range(height)]
    noise = [[int(grey(x) > chance.random()) for x in range(width)] for _ in range(height)]
    gap = [[255] * width] * 10
    picture = [*smooth, *gap, *([v * 255 for v in row] for row in points)]
    doubled = [[v for v in row for _ in range(2)] for row in picture for _ in range(2)]
    (MEDIA / "dither.png").write_bytes(png(doubled, 8))
    for name, rows, bits in (("smooth", smooth, 8), ("table", points, 1), ("chance", noise, 1)):
        print(f"{name}: {len(png(rows, bits))} bytes")


def steps() -> None:
    """Eleven squares with equal steps of the number, and eleven with equal steps of light."""

    def encoded(light: float) -> int:
        value = light * 12.92 if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055
        return round(value * 255)

    def row(values: list[int]) -> list[list[int]]:
        return [[v for value in values for v in [value] * 60]] * 80

    rows = row([round(i * 25.5) for i in range(11)]) + row([encoded(i / 10) for i in range(11)])
    (MEDIA / "grey-steps.png").write_bytes(png(rows, 8))


if __name__ == "__main__":
    for draw in (journey, measure, canon, queue, dither, steps):
        draw()
