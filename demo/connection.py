"""The HTTP connection to the service: its address, checked, and the proxy on the way, if there is one."""

from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

EXAMPLE = "such as http://127.0.0.1:3000"


def read_url(text: str) -> str:
    """The address of a service as people write it.

    Args:
        text: Such as "127.0.0.1:3000", "https://example.org/relatent/"; without a scheme it is plain HTTP.

    Returns:
        The address, with its scheme and without a slash at the end.

    Raises:
        ValueError: If it is none; the message tells no password.
    """
    text = text.strip()
    url = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL):
        host = None
    if not text or not host or any(letter.isspace() for letter in url) or parts.port == 0:
        raise ValueError(f"expected the address of a service, {EXAMPLE}, got {text!r}")
    if "@" in parts.netloc:
        raise ValueError(f"expected an address without a name or password, {EXAMPLE}; a key goes into RELATENT_API_KEY")
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"expected http:// or https://, got {parts.scheme}://")
    if parts.query or parts.fragment:
        raise ValueError(f"expected an address without ? and #, {EXAMPLE}, got {text!r}")
    return url.rstrip("/")


def open_client(url: str, headers: dict[str, str], timeout: float) -> httpx.Client:
    """A client of the service.

    Args:
        url: From `read_url`.
        headers: Of every request.
        timeout: Seconds that a request may take.

    Returns:
        The client; it has opened no connection yet.

    Raises:
        ValueError: If the environment names a proxy for this address that cannot be used.
    """
    proxy = _proxy(url)
    try:
        # A transport of our own: httpx itself would build one for each proxy in the environment, used or not.
        transport = httpx.HTTPTransport(proxy=proxy)
    except (ImportError, ValueError, httpx.InvalidURL):
        scheme, host = urlsplit(url).scheme, urlsplit(url).hostname
        raise ValueError(
            f"the proxy that {scheme.upper()}_PROXY or ALL_PROXY names for {url}: expected http://HOST:PORT, "
            f"got {_without_password(proxy)!r}; change it, or set NO_PROXY={host} to do without"
        ) from None
    return httpx.Client(base_url=url, headers=headers, timeout=timeout, transport=transport)


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for an address; none to this very machine, which no proxy can reach."""
    parts = urlsplit(url)
    if is_local(parts.hostname or "") or proxy_bypass(parts.netloc):
        return None
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    return proxy if proxy is None or "://" in proxy else f"http://{proxy}"


def is_local(host: str) -> bool:
    """Whether a host is this very machine."""
    try:
        address = ip_address(host)
    except ValueError:
        return host.rstrip(".") == "localhost" or host.rstrip(".").endswith(".localhost")
    mapped: Any = getattr(address, "ipv4_mapped", None) or address
    return bool(mapped.is_loopback or mapped.is_unspecified)


def _without_password(proxy: str | None) -> str:
    scheme, _, rest = (proxy or "").partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
