"""S3 as a blob store: how it is reached, and what its errors mean.

`s3://bucket/prefix` takes keys, region and endpoint from AWS_* variables, or from the machine's role. All of it may
stand in the address itself, so that a worker host needs nothing but its three addresses:
`s3://KEY:SECRET@bucket/prefix?endpoint_url=https://store.example:9000&region=eu-central-1`.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO, cast
from urllib.parse import parse_qsl, unquote, urlsplit

import aiohttp
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from s3fs import S3FileSystem

from cspine.errors import Usage

CONNECT_SECONDS, READ_SECONDS = 5, 30
TRIES = 2  # of s3fs for a connection that broke; each holds botocore's own, of an answer that says "try again"
ANSWERS = 3
OPTIONS = {"endpoint_url", "region"}
READ_BLOCK = 2**20  # a header fits into it; reading on fetches what is asked for, and so much more
WRITE_BLOCK = 12 * 2**20  # a film of 2500x2048 at 16 bits goes up in one request; what is larger goes up in parts
FULL = {"QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "InsufficientStorage"}
FULL_STATUS = 507  # Insufficient Storage, RFC 4918
NO_BUCKET = "NoSuchBucket"
FAULTS: tuple[type[Exception], ...] = (BotoCoreError, ClientError, ResponseParserError, aiohttp.ClientError)


@dataclass(frozen=True)
class Address:
    """Where a store lies and how it is reached; what is secret is not shown."""

    bucket: str
    root: str  # bucket and prefix
    options: dict[str, Any] = field(repr=False)


def parse(url: str) -> Address:
    """Read an address; raises `Usage`, without quoting it, where it is none."""
    parts = urlsplit(url)
    asked = dict(parse_qsl(parts.query))
    user, _, bucket = parts.netloc.rpartition("@")
    key, _, secret = user.partition(":")
    if not bucket or set(asked) - OPTIONS or bool(key) != bool(secret):
        raise Usage("BLOB_URL must be s3://[KEY:SECRET@]bucket[/prefix][?endpoint_url=URL&region=NAME]")
    client = {"region_name": asked["region"]} if "region" in asked else {}
    options: dict[str, Any] = {"client_kwargs": client}
    if key:
        options |= {"key": unquote(key), "secret": unquote(secret)}
    if "endpoint_url" in asked:
        options["endpoint_url"] = asked["endpoint_url"]
    return Address(bucket, f"{bucket}/{parts.path.strip('/')}".rstrip("/"), options)


def connect(address: Address) -> S3FileSystem:
    """Return a file system of this process alone; it connects at its first use and remembers no listing."""
    limits = {"connect_timeout": CONNECT_SECONDS, "read_timeout": READ_SECONDS,
              "retries": {"mode": "standard", "total_max_attempts": ANSWERS}}  # fmt: skip
    made = S3FileSystem(**address.options, config_kwargs=limits, skip_instance_cache=True, use_listings_cache=False)
    made.retries = TRIES
    return made


def open_blob(files: S3FileSystem, path: str) -> BinaryIO:
    """Open an object that is there to be read; one question, where s3fs itself looks further by listing."""
    found = head(files, path)
    file = files.open(path, "rb", block_size=READ_BLOCK, size=found["size"])
    file.details = found
    return cast(BinaryIO, file)


def head(files: S3FileSystem, path: str) -> dict[str, Any]:
    """Return size and time of an object; raises `FileNotFoundError` where it is not there."""
    bucket, key, _ = files.split_path(path)
    answer = files.call_s3("head_object", Bucket=bucket, Key=key)
    return {"name": path, "size": answer["ContentLength"], "LastModified": answer["LastModified"]}


def is_full(error: BaseException) -> bool:
    """Say whether the store has no room left, by its own word."""
    answer = _answer(error)
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status == FULL_STATUS or answer.get("Error", {}).get("Code") in FULL


def bucket_is_gone(files: S3FileSystem, address: Address, error: BaseException) -> bool:
    """Say whether "not found" was said of the whole bucket; asks where the answer does not tell."""
    if _answer(error).get("Error", {}).get("Code") == NO_BUCKET:
        return True
    try:
        files.call_s3("head_bucket", Bucket=address.bucket)
    except FileNotFoundError:
        return True
    return False


def abandon(files: S3FileSystem, address: Address, before: datetime) -> int:
    """Give up the uploads in parts that were begun before a time and never ended; return how many."""
    prefix = address.root[len(address.bucket) + 1 :]
    answer = files.call_s3("list_multipart_uploads", Bucket=address.bucket, Prefix=prefix)  # the first thousand
    stale = [one for one in answer.get("Uploads", ()) if one["Initiated"] < before]
    for one in stale:
        files.call_s3("abort_multipart_upload", Bucket=address.bucket, Key=one["Key"], UploadId=one["UploadId"])
    return len(stale)


def _answer(error: BaseException) -> dict[str, Any]:
    """Return what the server said; s3fs keeps it in the cause of the error that it makes of it."""
    for one in (error, error.__cause__):
        if isinstance(one, ClientError):
            return dict(one.response)
    return {}
