"""API keys: where there are any, requests need one; where there are none, only this machine is answered."""

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from json import detect_encoding
from pathlib import Path

from serving.errors import ApiError
from serving.settings import KEYS, SettingsError

SHORTEST = 16  # characters; what can be guessed is no key


class Keys:
    """The API keys of the service, kept as digests."""

    def __init__(self, keys: Iterable[str], *, anonymous: bool = False) -> None:
        """Take the keys; without any, nobody is asked for one, and a network is answered only if `anonymous` says so.

        Raises:
            SettingsError: If a key is too short; the message does not tell the key.
        """
        listed = list(keys)
        for index, key in enumerate(listed, 1):
            if len(key) < SHORTEST or not key.isascii():
                raise SettingsError(f"API key {index}: expected at least {SHORTEST} ASCII characters, got {len(key)}")
        self._digests = [_digest(key) for key in listed]
        self._anonymous = anonymous

    @classmethod
    def read(cls, file: Path | None, environment: Mapping[str, str], *, anonymous: bool = False) -> "Keys":
        """Collect the keys of a file and of RELATENT_API_KEYS in an environment.

        The file has one a line, in any UTF; empty lines and what follows a # at their beginning or after a space do not
        count.

        Raises:
            SettingsError: If the file cannot be read or has no key in it: it was meant to close the service.
        """
        keys = [key.strip() for key in environment.get(KEYS, "").split(",") if key.strip()]
        if file is not None:
            try:
                content = file.read_bytes()
                text = content.decode(detect_encoding(content))
            except OSError as error:
                raise SettingsError(f"cannot read the API keys in {file}: {error.strerror}") from None
            except UnicodeDecodeError:
                raise SettingsError(f"cannot read the API keys in {file}: expected text in UTF-8") from None
            lines = [re.sub(r"(^|\s)#.*", "", line).strip() for line in text.splitlines()]
            found = [line for line in lines if line]
            if not found:
                raise SettingsError(f"expected API keys in {file}, one a line, found none")
            keys += found
        return cls(keys, anonymous=anonymous)

    def check(self, authorization: str | None, address: str | None) -> None:
        """Let a request pass or not, in a time that does not depend on which key is nearly right.

        `authorization` is its header of that name, `address` the one of ours that it came to, None for a Unix socket.

        Raises:
            ApiError: 401 without a right key where there are keys; 403 where there are none and the request came over
                a network.
        """
        if not self._digests:
            if not self._anonymous and not is_local(address):
                message = "this service has no API keys and answers only its own machine; start it with keys"
                raise ApiError(403, "no_keys", message)
            return
        scheme, _, given = (authorization or "").partition(" ")
        digest = _digest(given.strip())
        matches = [hmac.compare_digest(digest, known) for known in self._digests]
        if scheme.lower() != "bearer" or not any(matches):
            message = "expected the header 'Authorization: Bearer KEY' with one of the service's API keys"
            raise ApiError(401, "unauthorized", message, headers={"WWW-Authenticate": "Bearer"})

    def __bool__(self) -> bool:
        """Whether there is any key."""
        return bool(self._digests)


@lru_cache(maxsize=64)
def is_local(address: str | None) -> bool:
    """Whether only this machine can have called that address of ours."""
    if address is None:
        return True
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address.startswith("/")  # a Unix socket
    if isinstance(found, IPv6Address) and found.ipv4_mapped:  # IPv4 at a socket that listens for both
        found = found.ipv4_mapped
    return found.is_loopback


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
