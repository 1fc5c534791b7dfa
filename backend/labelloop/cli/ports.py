"""Loopback ports: a free one, or a clear word that one is taken."""

import socket

from labelloop.errors import StartError


def free_port() -> int:
    """A loopback port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def require_free(port: int, purpose: str, mend: str, host: str = "127.0.0.1") -> None:
    """Check that a port can be listened on.

    Raises:
        StartError: something else listens there; the message ends with `mend`.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise StartError(f"Port {port} cannot be had for {purpose} ({error.strerror}); {mend}.") from None
