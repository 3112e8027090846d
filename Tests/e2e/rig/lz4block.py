"""The LZ4 block format in its plainest form: enough to read what a node compressed and to send it compressed payloads."""


def decompress(block: bytes, raw_length: int) -> bytes:
    """The bytes of `block`; raises ValueError unless it yields exactly `raw_length` of them."""
    out, at = bytearray(), 0

    def extended(nibble):
        nonlocal at
        length = nibble
        while nibble == 15:
            byte = block[at]
            at += 1
            length += byte
            if byte != 255:
                break
        return length

    while at < len(block):
        token = block[at]
        at += 1
        literals = extended(token >> 4)
        out += block[at:at + literals]
        at += literals
        if at >= len(block):
            break
        distance = block[at] | block[at + 1] << 8
        at += 2
        length = extended(token & 15) + 4
        if not 0 < distance <= len(out):
            raise ValueError("a match before the start of the output")
        for _ in range(length):
            out.append(out[-distance])
    if len(out) != raw_length:
        raise ValueError(f"{len(out)} bytes instead of the announced {raw_length}")
    return bytes(out)


def literals(data: bytes) -> bytes:
    """A valid LZ4 block that holds `data` without any match."""
    if len(data) < 15:
        return bytes([len(data) << 4]) + data
    rest = len(data) - 15
    return b"\xf0" + b"\xff" * (rest // 255) + bytes([rest % 255]) + data


def bomb(raw_length: int) -> bytes:
    """A small block that expands to `raw_length` equal bytes (at least 24)."""
    rest = raw_length - 1 - 5 - 4 - 15
    return b"\x1fA\x01\x00" + b"\xff" * (rest // 255) + bytes([rest % 255]) + b"\x50AAAAA"
