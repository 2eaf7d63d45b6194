"""The NUT container, one video stream: how frames and their exact timestamps pass through pipes.

Raw video in a pipe has no timestamps; NUT gives every frame one, in any rational time base, so
that variable frame rates survive. Format: "NUT Open Container Format" of the FFmpeg project.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO

FILE_ID = b"nut/multimedia container\0"
MAIN, STREAM, SYNCPOINT, INDEX, INFO = (
    bytes.fromhex(code)
    for code in (
        "4E4D7A561F5F04AD",
        "4E5311405BF2F9DB",
        "4E4BE4ADEECA4569",
        "4E58DD672F23E64E",
        "4E49AB68B596BA78",
    )
)
(KEY, CODED_PTS, STREAM_ID, SIZE_MSB, CHECKSUM, RESERVED, SIDE_DATA, HEADER_IDX, MATCH_TIME) = (
    *(1, 8, 16, 32, 64, 128, 256, 1024, 2048),
)
CODED, INVALID = 4096, 8192
MSB_SHIFT = 7
MOST_BYTES = 1 << 31  # of a packet
LONGEST = 10  # bytes of a number: 70 bits


@dataclass(frozen=True)
class Stream:
    """What is said of the video stream.

    Attributes:
        fourcc: the codec, as NUT names it.
        time_base: seconds a tick of the timestamps.
        width, height: px.
        extradata: the codec's own header.
        aspect: width over height of a pixel; 0 when unknown.
        decode_delay: frames by which decoding runs ahead of showing.
    """

    fourcc: bytes
    time_base: Fraction
    width: int
    height: int
    extradata: bytes = b""
    aspect: Fraction = Fraction(0)
    decode_delay: int = 0


@dataclass(frozen=True)
class Packet:
    """One frame: its timestamp in ticks, its bytes, and whether decoding can start at it."""

    pts: int
    data: bytes
    key: bool = True


class NutError(ValueError):
    """Not NUT, or cut off."""


@dataclass(frozen=True)
class _Code:
    """One entry of the frame code table."""

    flags: int
    pts_delta: int
    size_mul: int
    size_lsb: int
    reserved: int
    elided: int


class NutReader:
    """Packets of the first stream of a NUT file, read front to back.

    Args:
        file: a pipe or a file.

    Raises:
        NutError: no NUT headers at its start.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        if self._exactly(len(FILE_ID)) != FILE_ID:
            raise NutError("no NUT file")
        self._main(self._packet(self._exactly(8), MAIN))
        self.stream = self._stream(self._packet(self._exactly(8), STREAM))
        self._last = 0

    def __iter__(self) -> Iterator[Packet]:
        """Raises NutError where the file is cut off within a packet."""
        while first := self._file.read(1):
            if first != b"N":
                yield self._frame(first[0])
                continue
            code = first + self._exactly(7)
            body = self._packet(code, None)
            if code == SYNCPOINT:
                ticks = body.v()
                base = self._bases[ticks % len(self._bases)]
                self._last = int(ticks // len(self._bases) * base / self.stream.time_base)

    def _main(self, body: _Bytes) -> None:
        version = body.v()
        if version > 3:
            body.v()
        if body.v() != 1:
            raise NutError("more than one stream")
        body.v()
        self._bases = [_positive(body.v(), body.v()) for _ in range(body.v())]
        if not self._bases:
            raise NutError("damaged NUT header")
        self._codes: list[_Code] = []
        pts, mul, stream, head = 0, 1, 0, 0
        while len(self._codes) < 256:
            flags, fields = body.v(), body.v()
            pts = body.s() if fields > 0 else pts
            mul = body.v() if fields > 1 else mul
            stream = body.v() if fields > 2 else stream
            size = body.v() if fields > 3 else 0
            reserved = body.v() if fields > 4 else 0
            count = body.v() if fields > 5 else mul - size
            if fields > 6:
                body.s()
            head = body.v() if fields > 7 else head
            for _ in range(fields - 8):
                body.v()
            if not 0 <= count <= 256 - len(self._codes):
                raise NutError("damaged NUT header")
            for index in range(count):
                if len(self._codes) == ord("N"):
                    self._codes.append(_Code(INVALID, 0, 0, 0, 0, 0))
                self._codes.append(_Code(flags, pts, mul, size + index, reserved, head))
        self._headers = [b"", *(body.vb() for _ in range(body.v()))]

    def _stream(self, body: _Bytes) -> Stream:
        body.v(), body.v()
        fourcc = body.vb()
        which = body.v()
        if which >= len(self._bases):
            raise NutError("damaged NUT header")
        base = self._bases[which]
        self._shift = body.v()
        if self._shift > 62:
            raise NutError("damaged NUT header")
        body.v()
        delay = body.v()
        body.v()
        extradata = body.vb()
        width, height, across, down = body.v(), body.v(), body.v(), body.v()
        aspect = Fraction(across, down) if across and down else Fraction(0)
        return Stream(fourcc, base, width, height, extradata, aspect, delay)

    def _frame(self, code: int) -> Packet:
        entry = self._codes[code]
        flags = entry.flags
        if flags & INVALID:
            raise NutError("damaged NUT file")
        if flags & CODED:
            flags ^= self._v()
        if flags & STREAM_ID:
            self._v()
        pts = self._pts(self._v()) if flags & CODED_PTS else self._last + entry.pts_delta
        self._last = pts
        size = entry.size_lsb + (entry.size_mul * self._v() if flags & SIZE_MSB else 0)
        if flags & MATCH_TIME:
            self._v()
        elided = self._v() if flags & HEADER_IDX else entry.elided
        for _ in range(self._v() if flags & RESERVED else entry.reserved):
            self._v()
        if flags & CHECKSUM:
            self._exactly(4)
        if elided >= len(self._headers):
            raise NutError("damaged NUT file")
        header = self._headers[elided] if size <= 4096 else b""
        data = header + self._exactly(size - len(header))
        return Packet(pts, data, bool(flags & KEY))

    def _pts(self, coded: int) -> int:
        full = 1 << self._shift
        if coded >= full:
            return coded - full
        low = self._last - (full - 1) // 2
        return ((coded - low) % full) + low

    def _packet(self, code: bytes, wanted: bytes | None) -> _Bytes:
        if wanted not in (None, code):
            raise NutError("no NUT headers")
        size = self._v()
        if size > 4096:
            self._exactly(4)
        return _Bytes(self._exactly(size))

    def _v(self) -> int:
        value = 0
        for _ in range(LONGEST):
            byte = self._exactly(1)[0]
            value = value << 7 | byte & 127
            if byte < 128:
                return value
        raise NutError("damaged NUT file")

    def _exactly(self, size: int) -> bytes:
        if not 0 <= size <= MOST_BYTES:
            raise NutError("damaged NUT file")
        data = self._file.read(size)
        if len(data) < size:  # pipes that are not buffered give less
            parts = [data]
            while data and (size := size - len(data)):
                data = self._file.read(size)
                parts.append(data)
            if not data:
                raise NutError("cut off")
            data = b"".join(parts)
        return data


class NutWriter:
    """Writes packets as NUT, each behind a syncpoint of its own.

    Args:
        file: what to write to; it is not closed.
    """

    def __init__(self, file: BinaryIO, stream: Stream) -> None:
        self._file = file
        base = stream.time_base
        # One frame code for everything: flags, then count 255 of it.
        flags = KEY | CODED_PTS | SIZE_MSB | CHECKSUM | CODED
        table = _v(flags) + _v(6) + _s(0) + _v(1) + _v(0) + _v(0) + _v(0) + _v(255)
        main = _v(3) + _v(1) + _v(32767) + _v(1) + _v(base.numerator) + _v(base.denominator)
        aspect = stream.aspect
        head = (
            *(_v(0), _v(0), _vb(stream.fourcc), _v(0), _v(MSB_SHIFT), _v(0)),
            *(_v(stream.decode_delay), _v(0), _vb(stream.extradata)),
            *(_v(stream.width), _v(stream.height), _v(aspect.numerator)),
            *(_v(aspect.denominator if aspect else 0), _v(0)),
        )
        file.write(FILE_ID + _startcode(MAIN, main + table + _v(0)))
        file.write(_startcode(STREAM, b"".join(head)))

    def write(self, pts: int, data: bytes | memoryview, *, key: bool = True) -> None:
        """Append a frame; `pts` in ticks, not negative.

        Raises:
            OSError: the reader of the pipe is gone, or the disk is full.
        """
        sync = _startcode(SYNCPOINT, _v(pts) + _v(0))
        frame = b"\0" + _v(0 if key else KEY) + _v(pts + (1 << MSB_SHIFT)) + _v(len(data))
        self._file.write(sync + frame + _crc(frame))
        self._file.write(data)


class _Bytes:
    """Fields of a header."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def v(self) -> int:
        value = 0
        for _ in range(LONGEST):
            if self._at >= len(self._data):
                raise NutError("damaged NUT header")
            byte = self._data[self._at]
            self._at += 1
            value = value << 7 | byte & 127
            if byte < 128:
                return value
        raise NutError("damaged NUT header")

    def s(self) -> int:
        value = self.v() + 1
        return -(value >> 1) if value & 1 else value >> 1

    def vb(self) -> bytes:
        size = self.v()
        if size > len(self._data) - self._at:
            raise NutError("damaged NUT header")
        self._at += size
        return self._data[self._at - size : self._at]


def _positive(numerator: int, denominator: int) -> Fraction:
    if not numerator or not denominator:
        raise NutError("damaged NUT header")
    return Fraction(numerator, denominator)


def _v(value: int) -> bytes:
    if value < 0:  # would be written for ever: -1 >> 7 is -1
        raise ValueError(f"{value} is no number that NUT holds")
    groups = [value & 127]
    while value := value >> 7:
        groups.append(value & 127 | 128)
    return bytes(reversed(groups))


def _s(value: int) -> bytes:
    return _v(2 * value - 1 if value > 0 else -2 * value)


def _vb(data: bytes) -> bytes:
    return _v(len(data)) + data


def _startcode(code: bytes, body: bytes) -> bytes:
    size = _v(len(body) + 4)
    check = _crc(code + size) if len(body) + 4 > 4096 else b""
    return code + size + check + body + _crc(body)


def _table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = value << 1 ^ (0x104C11DB7 if value & 0x80000000 else 0)
        table.append(value)
    return table


_CRC = _table()


def _crc(data: bytes) -> bytes:
    value = 0
    for byte in data:
        value = (value << 8 & 0xFFFFFFFF) ^ _CRC[value >> 24 ^ byte]
    return value.to_bytes(4, "big")
