"""What the app refuses before anything is loaded."""

import socket

import pytest

from app import port_number, require_free


def test_a_port_that_is_taken_or_none_is_refused_before_anything_is_loaded() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="give --port another number"):
        require_free("127.0.0.1", taken.getsockname()[1])
    for text in ("0", "65536", "-1", "http"):
        with pytest.raises(Exception, match="a port is a number from 1 to 65535"):
            port_number(text)
