"""A file at an ``http(s)://`` URL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from cellgauge import __version__
from cellgauge.data.remote import CHUNK, Answer, FetchError, Interrupted, Patience, read_head, root_cause

if TYPE_CHECKING:
    import requests

_BUSY = (408, 425, 429)
_FOR_A_PERSON = (401, 402, 403, 407, 451)


class HttpRemote:
    """Answers by `RFC 9110 <https://www.rfc-editor.org/rfc/rfc9110#name-range-requests>`_.

    ``If-Range`` makes a server give the part only of the file that has the ETag, else the whole new file.
    The bytes are taken as they are sent: a content coding is neither asked for nor undone.
    """

    def __init__(self, url: str, patience: Patience) -> None:
        try:
            import requests
        except ModuleNotFoundError as error:
            raise FetchError(f"{url}: needs {error.name}; pip install 'cellgauge[run]'") from None
        self.url, self.patience = url, patience
        self.session = requests.Session()

    def open(self, offset: int, etag: str | None) -> Answer:
        """Ask for the bytes from an offset on; see ``Remote``."""
        response = self._get(offset, etag)
        head = read_head(response.status_code, response.headers, offset) if response.status_code in (200, 206) else None
        if head is not None:
            return Answer(head, _chunks(response), response.close)
        response.close()
        if offset and response.status_code in (200, 206, 412, 416):
            return self.open(0, None)
        raise _refusal(self.url, response)

    def _get(self, offset: int, etag: str | None) -> requests.Response:
        import requests

        headers = {"Accept-Encoding": "identity", "User-Agent": f"cellgauge/{__version__}"}
        if offset:
            headers["Range"] = f"bytes={offset}-"
            if etag:
                headers["If-Range"] = etag
        timeouts = (self.patience.connect, self.patience.read)
        try:
            return self.session.get(self.url, headers=headers, stream=True, timeout=timeouts)
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            why = root_cause(error)
            if "CERTIFICATE_VERIFY_FAILED" in why or "certificate verify failed" in str(error):
                raise FetchError(
                    f"{self.url}: the server's certificate is not trusted ({why}). Behind a proxy with a "
                    "certificate of its own, set REQUESTS_CA_BUNDLE to the file that holds it."
                ) from None
            raise Interrupted(f"no answer ({why})", reached=_reached(error)) from None
        except (requests.RequestException, UnicodeError) as error:
            raise FetchError(f"{self.url}: cannot be asked for: {error}") from None


def _chunks(response: requests.Response) -> Iterator[bytes]:
    import urllib3

    try:
        yield from response.raw.stream(CHUNK, decode_content=False)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise Interrupted(f"the connection broke ({root_cause(error)})") from None


def _reached(error: requests.RequestException) -> bool:
    """Whether there was anybody to connect to."""
    import requests
    import urllib3

    at_first = getattr(error.args[0] if error.args else None, "reason", None)
    return not isinstance(error, requests.ConnectTimeout) and not isinstance(
        at_first, urllib3.exceptions.NewConnectionError
    )


def _refusal(url: str, response: requests.Response) -> Exception:
    code = response.status_code
    said = f"{code} {response.reason or ''}".strip()
    if code in _BUSY or code >= 500:
        after = response.headers.get("retry-after", "")
        return Interrupted(f"the server answers {said}", after=float(after) if re.fullmatch(r"[0-9]+", after) else 0.0)
    if code in (404, 410):
        return FetchError(f"{url}: there is no such file (the server answers {said}). Correct the url in the card.")
    if code in _FOR_A_PERSON:
        return FetchError(
            f"{url}: the server refuses the file ({said}). If it asks for a login or an agreement, download the file "
            "by hand and name the folder it lies in in CELLGAUGE_MIRROR: it is found there by its digest."
        )
    return FetchError(f"{url}: expected the file, the server answers {said}. Check the url in the card.")
