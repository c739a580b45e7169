"""Frames of bytes over a socket, with a size cap and a deadline. It decides nothing about what is in them."""

import socket
import struct
import time

_LENGTH = struct.Struct(">Q")
_REST_SECONDS = 5.0


class TimeUp(Exception):
    """The deadline passed before the frame was through."""


class Gone(Exception):
    """The other end closed the socket in mid-talk."""


class TooLarge(Exception):
    """The other end announced more bytes than are allowed."""


def send(sock: socket.socket, data: bytes, deadline: float | None = None) -> None:
    """Send one frame. Raises TimeUp (deadline: by time.monotonic()) or Gone."""
    _until(sock, deadline)
    try:
        sock.sendall(_LENGTH.pack(len(data)) + data)
    except TimeoutError as error:
        raise TimeUp from error
    except OSError as error:
        raise Gone(str(error)) from error


def receive(sock: socket.socket, limit: int, deadline: float | None = None) -> bytes:
    """Receive one frame of at most `limit` bytes. Raises TimeUp, Gone or TooLarge."""
    (length,) = _LENGTH.unpack(_exactly(sock, _LENGTH.size, deadline))
    if length > limit:
        raise TooLarge(f"{length} bytes where at most {limit} are allowed")
    # What has begun to arrive comes at once: breaking off in the middle would leave the rest for the next frame.
    return _exactly(sock, length, None if deadline is None else deadline + _REST_SECONDS)


def _exactly(sock: socket.socket, count: int, deadline: float | None) -> bytes:
    # The buffer grows with what arrives, not with what was announced.
    got = bytearray()
    while len(got) < count:
        _until(sock, deadline)
        try:
            part = sock.recv(min(count - len(got), 1 << 20))
        except TimeoutError as error:
            raise TimeUp from error
        except OSError as error:
            raise Gone(str(error)) from error
        if not part:
            raise Gone("the connection was closed")
        got += part
    return bytes(got)


def _until(sock: socket.socket, deadline: float | None) -> None:
    if deadline is None:
        sock.settimeout(None)
        return
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeUp
    sock.settimeout(left)
