"""A file at an ``s3://bucket/key`` URL: at AWS, or at the store that ``AWS_ENDPOINT_URL`` names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cellgauge.data.remote import CHUNK, Answer, FetchError, Interrupted, Patience, read_head, root_cause

_ELSEWHERE = ("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301")
_BUSY = ("SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "429")


class S3Remote:
    """Asks without signature first, and with the credentials that boto3 finds when that is refused.

    Only ``GetObject`` is used: public buckets may refuse anonymous ``HeadObject``. ``If-Match`` makes a
    store refuse a part of a file that has changed.
    """

    def __init__(self, url: str, patience: Patience) -> None:
        try:
            import boto3  # noqa: F401 (whether it is here at all)
        except ModuleNotFoundError as error:
            raise FetchError(f"{url}: needs {error.name}; pip install 'cellgauge[run]'") from None
        self.url, self.patience = url, patience
        self.bucket, self.key = url.removeprefix("s3://").split("/", 1)
        self.credentials: str | None = None
        """Where the credentials were found that requests are signed with."""
        self.client: Any = None

    def open(self, offset: int, etag: str | None) -> Answer:
        """Ask for the bytes from an offset on; see ``Remote``."""
        got = self._get(offset, etag)
        status = got["ResponseMetadata"]["HTTPStatusCode"]
        if "Error" in got:
            if offset and status in (412, 416):
                return self.open(0, None)
            if status in (401, 403) and self.credentials is None and self._sign():
                return self.open(offset, etag)
            raise self._refusal(status, got)
        head = read_head(status, got["ResponseMetadata"]["HTTPHeaders"], offset)
        if head is not None:
            return Answer(head, _chunks(got["Body"]), got["Body"].close)
        got["Body"].close()
        if offset:
            return self.open(0, None)
        raise FetchError(f"{self.url}: expected the whole object, {self._endpoint} sends a part of it.")

    def _get(self, offset: int, etag: str | None) -> dict[str, Any]:
        """Return the answer, or the refusal with its ``Error``."""
        from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
        from botocore.exceptions import ConnectionError as NotConnected
        from botocore.parsers import ResponseParserError

        request = {"Bucket": self.bucket, "Key": self.key}
        if offset:
            request["Range"] = f"bytes={offset}-"
            if etag:
                request["IfMatch"] = etag
        try:
            if self.client is None:
                self.client = self._connect()
            answer: dict[str, Any] = self.client.get_object(**request)
            return answer
        except ClientError as error:
            refusal: dict[str, Any] = error.response
            return refusal
        except (HTTPClientError, NotConnected) as error:
            why = root_cause(error)
            if "CERTIFICATE_VERIFY_FAILED" in why:
                raise FetchError(
                    f"{self.url}: the certificate of {self._endpoint} is not trusted ({why}). "
                    "Set AWS_CA_BUNDLE to the file that holds the right one."
                ) from None
            raise Interrupted(
                f"no answer from {self._endpoint} ({why})", reached=not isinstance(error, NotConnected)
            ) from None
        except ResponseParserError:
            raise FetchError(
                f"{self.url}: {self._endpoint} does not answer as an S3 store does. Check AWS_ENDPOINT_URL."
            ) from None
        except (BotoCoreError, ValueError) as error:
            why = " ".join(str(error).split())
            raise FetchError(f"{self.url}: cannot be asked for: {why}") from None

    def _connect(self) -> Any:
        import boto3
        from botocore import UNSIGNED
        from botocore.config import Config

        config = Config(
            connect_timeout=self.patience.connect,
            read_timeout=self.patience.read,
            retries={"total_max_attempts": 1},
            response_checksum_validation="when_required",
            user_agent_extra="cellgauge",
        )
        if self.credentials is None:
            config = config.merge(Config(signature_version=UNSIGNED))
        return boto3.session.Session().client("s3", config=config)

    def _sign(self) -> bool:
        """Sign from now on, if there are credentials."""
        import boto3
        from botocore.exceptions import BotoCoreError

        try:
            found = boto3.session.Session().get_credentials()
        except BotoCoreError as error:
            raise FetchError(
                f"{self.url}: anonymous access is refused, and the AWS credentials cannot be used: {error}"
            ) from None
        if found is None:
            return False
        self.credentials, self.client = found.method, None
        return True

    @property
    def _endpoint(self) -> str:
        return self.client.meta.endpoint_url if self.client is not None else "the S3 endpoint"

    def _refusal(self, status: int, got: dict[str, Any]) -> Exception:
        code = str(got["Error"].get("Code", status))
        text = f"{code}: {got['Error']['Message']}" if got["Error"].get("Message") else code
        if status >= 500 or code in _BUSY:
            return Interrupted(f"{self._endpoint} answers {text}")
        if code == "NoSuchBucket":
            return FetchError(
                f"{self.url}: {self._endpoint} has no bucket {self.bucket}. Correct the url in the card, or set "
                "AWS_ENDPOINT_URL to the store that has it."
            )
        if status == 404:
            return FetchError(
                f"{self.url}: the bucket {self.bucket} has no object {self.key} ({code}, asked at {self._endpoint}). "
                "Correct the url in the card."
            )
        if status in (301, 307) or code in _ELSEWHERE:
            return self._elsewhere(text, got)
        if status in (401, 403):
            return self._denied(text)
        return FetchError(f"{self.url}: expected the object, {self._endpoint} answers {text} (status {status}).")

    def _elsewhere(self, text: str, got: dict[str, Any]) -> FetchError:
        region = got["ResponseMetadata"]["HTTPHeaders"].get("x-amz-bucket-region") or got["Error"].get("Region")
        advice = (
            f"Set AWS_DEFAULT_REGION to {region}" if region else "Set AWS_DEFAULT_REGION to the region of the bucket"
        )
        return FetchError(
            f"{self.url}: the bucket {self.bucket} is in another region than the one that was asked "
            f"({self.client.meta.region_name or 'none was set'}, at {self._endpoint}): {text}. {advice}."
        )

    def _denied(self, text: str) -> FetchError:
        doubt = "A store that does not let you list the bucket says the same of a key that does not exist."
        if self.credentials is None:
            return FetchError(
                f"{self.url}: {self._endpoint} refuses anonymous access ({text}), and no AWS credentials were found. "
                f"If you may read it, set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. {doubt}"
            )
        return FetchError(
            f"{self.url}: {self._endpoint} refuses access ({text}), without credentials and with those from "
            f"{self.credentials}. Use credentials that may read it (AWS_PROFILE chooses). {doubt}"
        )


def _chunks(body: Any) -> Iterator[bytes]:
    import urllib3
    from botocore.exceptions import BotoCoreError

    try:
        yield from body.iter_chunks(CHUNK)
    except (BotoCoreError, urllib3.exceptions.HTTPError, OSError) as error:
        raise Interrupted(f"the connection broke ({root_cause(error)})") from None
