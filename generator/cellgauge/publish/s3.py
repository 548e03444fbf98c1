"""A bucket that a site is published to, at AWS or at any other store that speaks its protocol."""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from cellgauge.cards.problems import UserError
from cellgauge.publish.delivery import Body, Delivery
from cellgauge.publish.destination import Stored

CONNECTIONS = 8
"""How many files are on their way at once."""
_PROBE = ".cellgauge-probe"
_REFUSED = ("PreconditionFailed", "ConditionalRequestConflict", "412", "409")
_ABSENT = ("NoSuchKey", "404")


class Bucket:
    """Needs the rights to list the bucket, and to get and put its objects; none is ever deleted."""

    def __init__(self, name: str, endpoint_url: str | None) -> None:
        """Prepare for asking.

        Parameters
        ----------
        name
            ``s3://bucket`` or ``s3://bucket/prefix``.
        endpoint_url
            Of a store other than AWS; None for the one that boto3's settings name.
        """
        try:
            import boto3
            from botocore.config import Config
        except ModuleNotFoundError as error:
            raise UserError(f"{name}: needs {error.name}; pip install 'cellgauge[publish]'") from None

        self.name = name
        self.folder = None
        self._bucket, _, prefix = name.removeprefix("s3://").rstrip("/").partition("/")
        if not self._bucket:
            raise UserError(f"{name}: expected s3://bucket or s3://bucket/prefix")
        self._prefix = f"{prefix}/" if prefix else ""
        self._bare_tags = False
        config = Config(
            retries={"mode": "standard", "total_max_attempts": 5},
            max_pool_connections=CONNECTIONS,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            user_agent_extra="cellgauge",
        )
        with self._asking():
            self._client = boto3.session.Session().client("s3", endpoint_url=endpoint_url, config=config)

    def probe(self) -> None:
        """See ``Destination``: a store may ignore the conditions of a request, and answer as if all were well.

        Some stores know a tag with its quotation marks, and some, as older ones of Ceph, without.
        """
        probe = Delivery(_PROBE, b"Whether this store refuses to overwrite what is there.\n", "no-store")
        self.create(_PROBE, probe)
        there = self.read(_PROBE)
        if there is not None and not self.replace(_PROBE, probe, there.tag):
            self._bare_tags = True
            if not self.replace(_PROBE, probe, there.tag):
                raise UserError(
                    f"{self.name}: this store refuses to replace a file in the version that it names (If-Match), so "
                    "that the list of releases could not be kept. Use another store, or publish to a folder."
                )
        for said, written in (
            ("If-None-Match", self.create(_PROBE, probe)),
            ("If-Match", self.replace(_PROBE, probe, '"00000000000000000000000000000000"')),
        ):
            if written:
                raise UserError(
                    f"{self.name}: this store ignores {said}, so that published releases could be overwritten. "
                    "Use a store that honours conditional writes (AWS S3 does), or publish to a folder."
                )

    def read(self, key: str) -> Stored | None:
        """See ``Destination``."""
        with self._asking():
            try:
                found = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)
                data = found["Body"].read()
            except self._client.exceptions.ClientError as error:
                if error.response["Error"]["Code"] in _ABSENT:
                    return None
                raise
        if found.get("ContentEncoding") == "gzip":
            data = gzip.decompress(data)
        return Stored(data, found["ETag"])

    def keys(self, prefix: str) -> list[str]:
        """See ``Destination``; what ends with a slash stands for a folder, and is no file."""
        return sorted(key for key, _ in self._tags(prefix) if not key.endswith("/"))

    def create(self, key: str, delivery: Delivery) -> bool:
        """See ``Destination``."""
        return self._put(key, delivery, IfNoneMatch="*")

    def replace(self, key: str, delivery: Delivery, tag: str | None) -> bool:
        """See ``Destination``."""
        if tag is None:
            return self.create(key, delivery)
        return self._put(key, delivery, IfMatch=tag.strip('"') if self._bare_tags else tag)

    def put(self, key: str, delivery: Delivery) -> None:
        """See ``Destination``."""
        self._put(key, delivery)

    def sweep(self, folders: Iterable[str]) -> None:
        """See ``Destination``: a store holds whole files alone."""

    def differing(self, prefix: str, files: Mapping[str, Delivery], seen: Callable[[int], None]) -> dict[str, bool]:
        """See ``Destination``: by the tags of a list, and where a tag is no digest, by what is there."""
        tags = dict(self._tags(prefix))
        found = {}
        for key, delivery in files.items():
            if key not in tags:
                found[key] = False
            elif tags[key] != _md5(delivery.body()):
                there = self.read(key)
                if there is None or there.data != delivery.plain():
                    found[key] = there is not None
            seen(1)
        return found

    def _tags(self, prefix: str) -> Iterator[tuple[str, str]]:
        with self._asking():
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix + prefix
            )
            for page in pages:
                for one in page.get("Contents", ()):
                    yield one["Key"].removeprefix(self._prefix), one["ETag"].strip('"')

    def _put(self, key: str, delivery: Delivery, **condition: str) -> bool:
        body = delivery.body()
        request: dict[str, Any] = {
            "Bucket": self._bucket,
            "Key": self._prefix + key,
            "Body": body.data,
            "ContentType": delivery.type,
            "CacheControl": delivery.cache,
            # The store refuses what was damaged on its way.
            "ContentMD5": base64.b64encode(hashlib.md5(body.data, usedforsecurity=False).digest()).decode(),
            **condition,
        }
        if body.encoding:
            request["ContentEncoding"] = body.encoding
        with self._asking():
            try:
                self._client.put_object(**request)
            except self._client.exceptions.ClientError as error:
                if condition and error.response["Error"]["Code"] in (*_REFUSED, *_ABSENT):
                    return False
                raise
        return True

    @contextmanager
    def _asking(self) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except ClientError as error:
            said = error.response["Error"]
            what = f"{said.get('Code', '')}: {said.get('Message', '')}".strip(": ")
            raise UserError(f"{self.name}: the store refuses {error.operation_name} ({what}){_hint(said)}") from None
        except (BotoCoreError, ValueError) as error:
            raise UserError(f"{self.name}: cannot be asked: {' '.join(str(error).split())}") from None


def _hint(said: Mapping[str, str]) -> str:
    hints = {
        "NoSuchBucket": "Create the bucket, or name another one",
        "AccessDenied": "The credentials need s3:ListBucket, s3:GetObject and s3:PutObject",
        "InvalidAccessKeyId": "Check the credentials that boto3 finds",
        "SignatureDoesNotMatch": "Check the credentials that boto3 finds",
    }
    hint = hints.get(said.get("Code", ""))
    return f". {hint}." if hint else ""


def _md5(body: Body) -> str:
    return hashlib.md5(body.data, usedforsecurity=False).hexdigest()
