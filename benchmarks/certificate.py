"""A certificate for the loopback address, and the authority that a client trusts for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory


@contextmanager
def certificate() -> Iterator[tuple[Path, Path]]:
    """Two files in PEM: the server's key with its certificate, and the authority's certificate."""
    import trustme  # only the works over TLS need it

    with TemporaryDirectory() as name:
        server, authority = Path(name) / "server.pem", Path(name) / "authority.pem"
        issuer = trustme.CA()
        issuer.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(server)
        issuer.cert_pem.write_to_path(authority)
        yield server, authority
