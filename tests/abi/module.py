"""The entry points of libnss_oauth2.so.2, called as libc calls them."""

import ctypes
import os
import shutil
import tempfile
from ctypes import POINTER, byref, c_char, c_char_p, c_int, c_long, c_size_t, c_uint, c_void_p

TRYAGAIN, UNAVAIL, NOTFOUND, SUCCESS = -2, -1, 0, 1
PATH = os.environ.get("NSS_MODULE", "")
DATABASE = "/var/lib/pam_oauth2_device/nss.db"
UNTOUCHED = 4711
GUARD = 0xA5


class CPasswd(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("passwd", c_char_p), ("uid", c_uint), ("gid", c_uint), ("gecos", c_char_p),
                ("home", c_char_p), ("shell", c_char_p)]

    def value(self):
        values = (getattr(self, field) for field, _ in self._fields_)
        return tuple(value.decode(errors="replace") if isinstance(value, bytes) else value for value in values)


class CGroup(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("passwd", c_char_p), ("gid", c_uint), ("members", POINTER(c_void_p))]

    def value(self):
        assert ctypes.cast(self.members, c_void_p).value % ctypes.sizeof(c_void_p) == 0, "misaligned pointers"
        members = []
        while address := self.members[len(members)]:
            members.append(ctypes.string_at(address).decode())
        return self.name.decode(), self.passwd.decode(), self.gid, members


class Module:
    def __init__(self, path=PATH):
        self.library = ctypes.CDLL(path, use_errno=True)

    @classmethod
    def unused(cls):
        """Another instance, which has nothing mapped yet: libc knows a library by its file."""
        with tempfile.NamedTemporaryFile(suffix=".so") as copy:
            shutil.copyfile(PATH, copy.name)
            return cls(copy.name)

    def _call(self, function, keys, kind, size, shift):
        """(status, errno, value). The buffer begins `shift` bytes off and has a guard behind it."""
        buffer = (c_char * (shift + size + 16))()
        ctypes.memset(buffer, GUARD, len(buffer))
        result, code = kind(), c_int(UNTOUCHED)
        place = ctypes.c_void_p(ctypes.addressof(buffer) + shift)
        ctypes.set_errno(UNTOUCHED)
        status = getattr(self.library, f"_nss_oauth2_{function}")(*keys, byref(result), place, c_size_t(size),
                                                                 byref(code))
        assert ctypes.get_errno() == UNTOUCHED, "errno was changed"
        assert buffer.raw[shift + size:] == bytes([GUARD]) * 16, "written behind the buffer"
        assert buffer.raw[:shift] == bytes([GUARD]) * shift, "written before the buffer"
        return status, code.value, result.value() if status == SUCCESS else None

    def getpwnam(self, name, size=4096, shift=0):
        return self._call("getpwnam_r", [as_bytes(name)], CPasswd, size, shift)

    def getpwuid(self, uid, size=4096, shift=0):
        return self._call("getpwuid_r", [c_uint(uid)], CPasswd, size, shift)

    def getgrnam(self, name, size=65536, shift=0):
        return self._call("getgrnam_r", [as_bytes(name)], CGroup, size, shift)

    def getgrgid(self, gid, size=65536, shift=0):
        return self._call("getgrgid_r", [c_uint(gid)], CGroup, size, shift)

    def getpwent(self, size=4096, shift=0):
        return self._call("getpwent_r", [], CPasswd, size, shift)

    def getgrent(self, size=65536, shift=0):
        return self._call("getgrent_r", [], CGroup, size, shift)

    def rewind(self):
        for function in ("setpwent", "setgrent"):
            assert getattr(self.library, f"_nss_oauth2_{function}")(0) == SUCCESS
        for function in ("endpwent", "endgrent"):
            assert getattr(self.library, f"_nss_oauth2_{function}")() == SUCCESS

    def people(self):
        self.rewind()
        return list(iter(lambda: found(self.getpwent()), None))

    def groups(self):
        self.rewind()
        return list(iter(lambda: found(self.getgrent()), None))

    def initgroups(self, name, skip=0, before=(7,), size=4, limit=-1):
        """(status, errno, gids, size of the array)."""
        libc = ctypes.CDLL(None)
        libc.malloc.restype = c_void_p
        array = ctypes.cast(libc.malloc(c_size_t(4 * size)), POINTER(c_uint))
        for index, gid in enumerate(before):
            array[index] = gid
        start, length, code = c_long(len(before)), c_long(size), c_int(UNTOUCHED)
        status = self.library._nss_oauth2_initgroups_dyn(as_bytes(name), c_uint(skip), byref(start), byref(length),
                                                         byref(array), c_long(limit), byref(code))
        gids = [array[index] for index in range(start.value)]
        libc.free(array)
        return status, code.value, gids, length.value


def as_bytes(name):
    return c_char_p(name.encode() if isinstance(name, str) else name)


def found(answer):
    status, code, value = answer
    assert (status, code) in ((SUCCESS, UNTOUCHED), (NOTFOUND, 2)), answer
    return value
