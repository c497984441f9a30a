"""Settings: one frozen model, built once at the entry point and passed in. The only reader of the environment."""

import codecs
import logging
import os
import re
import secrets
import stat
from functools import cache, cached_property
from pathlib import Path
from typing import Literal
from zoneinfo import available_timezones

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from cspine.errors import Usage

MIN_KEY_LENGTH = 32
MIN_TOKEN_LENGTH = 16
MIN_KEY_CHARACTERS = 8  # distinct ones: a sample, or a short word repeated, has fewer
SAMPLE_KEY = re.compile("change.?me|secret|sample|example|your.?key|default|password", re.IGNORECASE)
HOUR = re.compile("([01][0-9]|2[0-3]):[0-5][0-9]")


class Settings(BaseSettings):
    """Everything that an installation may choose; the names are those of the environment variables."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    env: Literal["development", "production"] = Field("development", validation_alias="CSPINE_ENV")
    var: Path = Field(Path("var"), validation_alias="CSPINE_VAR")
    database_url: str = Field("", validation_alias="DATABASE_URL")
    redis_url: str = Field("", validation_alias="REDIS_URL")
    blob_url: str = Field("", validation_alias="BLOB_URL")
    secret_key: str = Field("", validation_alias="SECRET_KEY")
    site_timezone: str = Field("UTC", validation_alias="CSPINE_TIMEZONE")
    log_level: str = Field("INFO", validation_alias="CSPINE_LOG_LEVEL")
    trusted_proxies: int = Field(0, validation_alias="CSPINE_TRUSTED_PROXIES", description="proxies in front of us")
    secure_cookies: bool = Field(False, validation_alias="CSPINE_SECURE_COOKIES", description="always on in production")

    # Limits on what comes in (cases/README.md, "Default limits")
    max_file_bytes: int = Field(512 * 2**20, validation_alias="CSPINE_MAX_FILE_BYTES")
    max_upload_bytes: int = Field(4 * 2**30, validation_alias="CSPINE_MAX_UPLOAD_BYTES")
    max_upload_files: int = Field(1000, validation_alias="CSPINE_MAX_UPLOAD_FILES")
    max_uploads_per_hour: int = Field(
        3600, validation_alias="CSPINE_MAX_UPLOADS_PER_HOUR", ge=1, description="of one person"
    )
    max_frame_pixels: int = Field(100_000_000, validation_alias="CSPINE_MAX_FRAME_PIXELS")
    max_frames: int = Field(1000, validation_alias="CSPINE_MAX_FRAMES")
    max_archive_entries: int = Field(10_000, validation_alias="CSPINE_MAX_ARCHIVE_ENTRIES")
    max_archive_bytes: int = Field(4 * 2**30, validation_alias="CSPINE_MAX_ARCHIVE_BYTES")
    archive_code_page: str = Field(
        "cp437", validation_alias="CSPINE_ARCHIVE_CODE_PAGE", description="of names in a ZIP that are not UTF-8"
    )
    max_growth: int = Field(100, validation_alias="CSPINE_MAX_GROWTH", description="times the packed size")
    min_growth_bytes: int = Field(64 * 2**20, validation_alias="CSPINE_MIN_GROWTH_BYTES")
    max_nesting: int = Field(16, validation_alias="CSPINE_MAX_NESTING")

    # Work
    prepare_processes: int = Field(0, validation_alias="CSPINE_PREPARE_PROCESSES", description="0: one per core")
    prepare_seconds: int = Field(120, validation_alias="CSPINE_PREPARE_SECONDS", description="hard limit of a task")
    prepare_company: int = Field(
        16, validation_alias="CSPINE_PREPARE_COMPANY", ge=1, description="small studies in one claim, at most"
    )
    prepare_company_bytes: int = Field(
        64 * 2**20, validation_alias="CSPINE_PREPARE_COMPANY_BYTES", description="of their files together"
    )
    prepare_memory_bytes: int = Field(2 * 2**30, validation_alias="CSPINE_PREPARE_MEMORY_BYTES")
    screen_seconds: int = Field(300, validation_alias="CSPINE_SCREEN_SECONDS", description="hard limit of a batch")
    explain_seconds: int = Field(120, validation_alias="CSPINE_EXPLAIN_SECONDS", description="hard limit of a map")
    explain_idle_seconds: float = Field(
        60.0, validation_alias="CSPINE_EXPLAIN_IDLE_SECONDS", description="until the network's memory is given back"
    )
    screen_batch: int = Field(16, validation_alias="CSPINE_SCREEN_BATCH", ge=1)
    screen_images: int = Field(
        256, validation_alias="CSPINE_SCREEN_IMAGES", ge=1, description="of the studies in one claim together"
    )
    screen_threads: int = Field(0, validation_alias="CSPINE_SCREEN_THREADS", ge=0, description="0: one per core")
    precision: Literal["f32", "bf16"] = Field(
        "f32", validation_alias="CSPINE_PRECISION", description="of the network on a processor"
    )
    lease_seconds: float = Field(30.0, validation_alias="CSPINE_LEASE_SECONDS")
    lease_renew_seconds: float = Field(10.0, validation_alias="CSPINE_LEASE_RENEW_SECONDS")
    hand_back_seconds: float = Field(
        8.0, validation_alias="CSPINE_HAND_BACK_SECONDS", description="from SIGTERM to giving back work in hand"
    )
    overnight_window: str = Field(
        "", validation_alias="CSPINE_OVERNIGHT_WINDOW", description="of the site's clock, 22:00-06:00; empty: always"
    )
    outage_seconds: float = Field(
        20.0, validation_alias="CSPINE_OUTAGE_SECONDS", description="that a worker waits for the database in a task"
    )
    sweep_seconds: float = Field(15.0, validation_alias="CSPINE_SWEEP_SECONDS")
    visibility_seconds: int = Field(900, validation_alias="CSPINE_VISIBILITY_SECONDS")
    max_tries: int = Field(5, validation_alias="CSPINE_MAX_TRIES")
    max_lone_attempts: int = Field(3, validation_alias="MAX_LONE_ATTEMPTS")
    retry_first_seconds: float = Field(10.0, validation_alias="CSPINE_RETRY_FIRST_SECONDS")
    retry_most_seconds: float = Field(600.0, validation_alias="CSPINE_RETRY_MOST_SECONDS")
    orphan_hours: float = Field(
        24.0,
        validation_alias="CSPINE_ORPHAN_HOURS",
        ge=0,
        description="until a blob that no row names is removed; 0: never",
    )

    # Triage
    max_wait_hours: float = Field(24.0, validation_alias="CSPINE_MAX_WAIT_HOURS", description="0 turns overdue off")

    # Web
    host: str = Field("127.0.0.1", validation_alias="CSPINE_HOST")
    port: int = Field(8000, validation_alias="CSPINE_PORT")
    web_threads: int = Field(32, validation_alias="CSPINE_WEB_THREADS")
    session_hours: float = Field(12.0, validation_alias="CSPINE_SESSION_HOURS")
    signin_minutes: int = Field(15, validation_alias="CSPINE_SIGNIN_MINUTES")
    metrics_token: str = Field("", validation_alias="CSPINE_METRICS_TOKEN", description="of who may read /metrics")
    stream_seconds: float = Field(
        30.0, validation_alias="CSPINE_STREAM_SECONDS", description="length of an event stream"
    )

    @field_validator("site_timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        if name not in _zones():
            raise ValueError("is no time zone of the IANA database, such as Europe/Vienna")
        return name

    @field_validator("overnight_window")
    @classmethod
    def _known_window(cls, text: str) -> str:
        begin, hyphen, end = text.partition("-")
        if text and not (hyphen and HOUR.fullmatch(begin) and HOUR.fullmatch(end) and begin != end):
            raise ValueError("is no window of the day, such as 22:00-06:00")
        return text

    @field_validator("orphan_hours")
    @classmethod
    def _long_grace(cls, hours: float) -> float:
        if 0 < hours < 1:
            raise ValueError("is less than an hour, in which an upload may still be on its way")
        return hours

    @field_validator("metrics_token")
    @classmethod
    def _long_token(cls, token: str) -> str:
        if token and len(token) < MIN_TOKEN_LENGTH:
            raise ValueError(f"has fewer than {MIN_TOKEN_LENGTH} characters")
        return token

    @field_validator("archive_code_page")
    @classmethod
    def _known_code_page(cls, name: str) -> str:
        try:
            return codecs.lookup(name).name
        except LookupError as error:
            raise ValueError("is no code page, such as cp437 or cp866") from error

    @field_validator("log_level")
    @classmethod
    def _known_level(cls, name: str) -> str:
        if name.upper() not in logging.getLevelNamesMapping():
            raise ValueError("is no level: DEBUG, INFO, WARNING, ERROR")
        return name

    @property
    def database(self) -> str:
        """The SQLAlchemy address of the database: the one given, else SQLite in `var`."""
        if not self.database_url:
            return f"sqlite+pysqlite:///{self.var.absolute() / 'cspine.db'}"
        scheme, _, rest = self.database_url.partition("://")
        return f"postgresql+psycopg://{rest}" if scheme in {"postgres", "postgresql"} else self.database_url

    @property
    def blobs(self) -> str:
        """The fsspec address of the blob store: the one given, else a folder in `var`."""
        return self.blob_url or f"file://{self.var.absolute() / 'blobs'}"

    @property
    def prepare_children(self) -> int:
        """How many children a prepare worker has: those chosen, else one for each core."""
        return self.prepare_processes or os.cpu_count() or 1

    @property
    def embedded_broker(self) -> bool:
        """Say whether `up` runs a Valkey of its own."""
        return not self.redis_url

    def environment(self) -> dict[str, str]:
        """Return the environment of a child process that shall have these very settings, wherever it runs."""
        root = str(Path(__file__).resolve().parent.parent)
        own = {str(field.validation_alias): str(getattr(self, name)) for name, field in type(self).model_fields.items()}
        own |= {"CSPINE_VAR": str(self.var.absolute()), "PYTHONPATH": _path_list(root, os.environ.get("PYTHONPATH"))}
        return dict(os.environ) | own

    @cached_property
    def key(self) -> str:
        """The secret key: checked in production, else made once and kept in `var` with mode 0600.

        Raises `Usage` in production where it is missing, short or a sample.
        """
        if self.env == "production":
            if not _drawn_at_random(self.secret_key):
                raise Usage(f"in production SECRET_KEY must have {MIN_KEY_LENGTH} or more characters, drawn at random")
            return self.secret_key
        return self.secret_key or _kept_key(self.var / "secret_key")


@cache
def _zones() -> set[str]:
    """Return the names of all time zones, for which some 600 files are opened."""
    return available_timezones()


def quiet_libraries() -> None:
    """Keep TensorFlow's own lines out of our messages, where the environment does not ask for them; call it early."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def _drawn_at_random(key: str) -> bool:
    """Say whether a key may be one of its own: long enough, of several characters, and no word of a sample."""
    return len(key) >= MIN_KEY_LENGTH and len(set(key)) >= MIN_KEY_CHARACTERS and not SAMPLE_KEY.search(key)


def _path_list(first: str, others: str | None) -> str:
    return os.pathsep.join(dict.fromkeys([first, *(others or "").split(os.pathsep)])).rstrip(os.pathsep)


def _kept_key(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR)
    except FileExistsError:
        return path.read_text()
    key = secrets.token_urlsafe(48)
    with os.fdopen(descriptor, "w") as file:
        file.write(key)
    return key
