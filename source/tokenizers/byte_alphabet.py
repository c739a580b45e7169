"""GPT-2's byte alphabet: a printable character for each of the 256 bytes. It splits no text and merges nothing.

GPT-2's files write tokens as strings, and a file that separates by spaces and line ends cannot hold a token that is a
space. So every byte has a character that can be seen: a printable one its own, the others one from U+0100 on. A space
is written Ġ (U+0120), a line end Ċ (U+010A).

Radford et al. (2019), section 2.2; the table is that of `bytes_to_unicode` in OpenAI's gpt-2/src/encoder.py.
"""

_PRINTABLE = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
_OTHERS = [b for b in range(256) if b not in _PRINTABLE]

BYTES = (*_PRINTABLE, *_OTHERS)  # which byte GPT-2's ids 0 to 255 stand for
_CHARACTERS = {b: chr(b) for b in _PRINTABLE} | {b: chr(256 + n) for n, b in enumerate(_OTHERS)}
_BYTE_OF = {character: b for b, character in _CHARACTERS.items()}


def bytes_to_unicode() -> dict[int, str]:
    """Byte -> the character that stands for it, in the order of GPT-2's ids: 33 -> "!", ..., 32 -> "Ġ", ..."""
    return {b: _CHARACTERS[b] for b in BYTES}


def spell(data: bytes) -> str:
    """Bytes as GPT-2's files write them: b" na\\xc3\\xafve" -> "ĠnaÃ¯ve"."""
    return data.decode("latin-1").translate(_CHARACTERS)


def unspell(token: str) -> bytes:
    """The bytes behind a spelling: "Ġthe" -> b" the". Raises ValueError for a character that stands for no byte."""
    try:
        return bytes([_BYTE_OF[character] for character in token])
    except KeyError as error:
        raise ValueError(
            f"{token!r} is no spelling of bytes: {error.args[0]!r} stands for none of them. A space is written Ġ, a "
            "line end Ċ; spell(data) makes such strings from bytes"
        ) from None
