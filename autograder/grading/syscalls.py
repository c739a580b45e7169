"""Denies this process and all it starts some system calls that no lab needs. It is one layer of several.

A kernel's keyrings belong to a user id, not to a sandbox: what one hand-in put there, another could read. The others
are doors into the kernel, or into other processes, through which a notebook has no business to go.
"""

import ctypes
import platform
import struct

_NUMBERS = {
    "x86_64": (
        0xC000003E,
        {
            **{"add_key": 248, "request_key": 249, "keyctl": 250, "ptrace": 101, "perf_event_open": 298},
            **{"process_vm_readv": 310, "process_vm_writev": 311, "bpf": 321, "userfaultfd": 323, "io_uring": 425},
        },
    ),
    "aarch64": (
        0xC00000B7,
        {
            **{"add_key": 217, "request_key": 218, "keyctl": 219, "ptrace": 117, "perf_event_open": 241},
            **{"process_vm_readv": 270, "process_vm_writev": 271, "bpf": 280, "userfaultfd": 282, "io_uring": 425},
        },
    ),
}
# linux/filter.h and linux/seccomp.h: load a word, jump if equal, jump if greater or equal, return.
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000 | 1, 0x80000000  # 1 is EPERM
_X32 = 0x40000000  # the same calls under other numbers
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _FILTER = 38, 22, 2


def program() -> bytes:
    """The filter for this kind of processor (seccomp's classic BPF); nothing for one that is not known."""
    if platform.machine() not in _NUMBERS:
        return b""
    arch, numbers = _NUMBERS[platform.machine()]
    denied = sorted(set(numbers.values()))
    steps = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, arch), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, 0)]
    refuse = len(denied) + 1  # steps from the first comparison to the refusal
    steps.append((_AT_LEAST, refuse, 0, _X32))
    steps += [(_EQUAL, refuse - 1 - place, 0, number) for place, number in enumerate(denied)]
    steps += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _REFUSE)]
    return b"".join(struct.pack("HBBI", *step) for step in steps)


def deny() -> None:
    """From here on these calls fail with EPERM. Raises OSError where the kernel has no seccomp."""
    code = program()
    if not code:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(code)

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    told = Program(len(code) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if libc.prctl(_PR_SET_SECCOMP, _FILTER, ctypes.byref(told), 0, 0):
        raise OSError(ctypes.get_errno(), "the kernel takes no filter of system calls")
