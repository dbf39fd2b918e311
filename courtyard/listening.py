"""The socket that the API listens on."""

import socket

from courtyard.errors import CommandError

BACKLOG = 2048


def listen(host: str, port: int) -> socket.socket:
    """A listening socket there. Raises CommandError with what to do."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise CommandError(
            f"COURTYARD_API_PORT: cannot listen on {host}:{port} ({error.strerror}); set another"
            " one"
        ) from None
    return listener
