"""The sockets that servers listen on: at addresses of both families, and at the path of a Unix socket."""

import errno
import os
import socket
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from signalr_bridge.errors import SettingsError

BACKLOG = 2048
"""How many connections may wait to be accepted."""


def open_socket(host: str, port: int, *, both_families: bool = False) -> socket.socket:
    """A listening socket.

    Args:
        host: An address or a name. One that holds a colon is an IPv6 address.
        port: A number from 0 to 65535. 0 takes a free one.
        both_families: Whether ``::`` also takes connections over IPv4, where the system can do that.

    Raises:
        OSError: The address or port cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    both = both_families and family is socket.AF_INET6 and socket.has_dualstack_ipv6()
    sock = socket.create_server((host, port), family=family, backlog=BACKLOG, dualstack_ipv6=both)
    # Accepted connections inherit this option. Without it every answer waits 40 ms for an acknowledgement. asyncio sets
    # it only where the protocol's number is given, and uvloop sets it always.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def bind(
    host: str, port: int, setting: str, host_setting: str | None = None, *, both_families: bool = True
) -> socket.socket:
    """A listening socket. Port 0 takes a free one.

    Args:
        host: An address or a name.
        port: A number from 0 to 65535.
        setting: The setting that gave the port.
        host_setting: The setting that gave the host. None means that ``setting`` gave it, too.
        both_families: As in ``open_socket``.

    Raises:
        SettingsError: The address or port cannot be used. It names the setting that is at fault.
    """
    try:
        return open_socket(host, port, both_families=both_families)
    except OSError as error:
        no_such_host = isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL
        reason = "this machine has no such address" if no_such_host else os.strerror(error.errno or 0).lower()
        raise SettingsError(
            f"cannot listen on {host} port {port} ({reason}): write another {'address' if no_such_host else 'port'}.",
            setting=(host_setting if no_such_host else None) or setting,
        ) from None


def bind_all(hosts: Sequence[str], port: int, setting: str, host_setting: str) -> list[socket.socket]:
    """A listening socket for each address, all at one port. It raises what ``bind`` does.

    ``::`` takes both families, unless an address of IPv4 stands beside it.

    Port 0 takes a free one for the first address, and the same one for the others.
    """
    sockets: list[socket.socket] = []
    both = all(":" in one for one in hosts)
    try:
        for host in hosts:
            sockets.append(bind(host, port, setting, host_setting, both_families=both))
            port = int(sockets[0].getsockname()[1])
    except BaseException:
        for one in sockets:
            one.close()
        raise
    return sockets


@contextmanager
def bind_unix(path: str, setting: str) -> Iterator[socket.socket]:
    """A socket that listens at a path while the block runs. Its user and group may connect (mode 0660).

    A socket that nobody listens on any more is replaced, because a process that was killed leaves it behind. Raises
    ``SettingsError`` where the path cannot be used.
    """
    try:
        _remove_stale(path)
        sock = _open_unix_socket(path)
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise SettingsError(f"cannot listen at {path} ({reason}): write another path.", setting=setting) from None
    made = os.stat(path)
    try:
        yield sock
    finally:
        sock.close()
        with suppress(OSError):
            if os.path.samestat(os.stat(path), made):  # another process may have replaced it
                os.unlink(path)


def _open_unix_socket(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o117)  # so that nobody else can connect before the mode is set
    try:
        sock.bind(path)
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    finally:
        os.umask(before)
    return sock


def _remove_stale(path: str) -> None:
    """Remove a socket that nobody listens on. Raises ``OSError`` for one that is in use, and for any other file."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        try:
            asking.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
