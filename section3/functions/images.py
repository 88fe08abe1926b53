"""What an image's id says: when it came, where its copies are, and when they expire.

The id is a UUID of version 7, so its first 48 bits are the time in milliseconds at which the platform (or a producer of
the Kafka topic) issued it. Every copy carries the id in its name or key: its age is known without asking a database."""

from __future__ import annotations

import dataclasses
import datetime
import secrets
import uuid

KEPT = datetime.timedelta(days=7)
# The bytes of an original.
LARGEST = 50 * 1024 * 1024
# The number of ways that keys are spread: two hexadecimal digits.
SHARDS = [f"{number:02x}" for number in range(256)]
HOUR = "%Y-%m-%d-%H"


@dataclasses.dataclass(frozen=True)
class Image:
    """One image, known by its id."""

    id: str

    @classmethod
    def issue(cls, now: datetime.datetime) -> Image:
        value = int(now.timestamp() * 1000) << 80 | secrets.randbits(80)
        value = value & ~(0xF << 76) | 7 << 76
        value = value & ~(0x3 << 62) | 2 << 62
        return cls(str(uuid.UUID(int=value)))

    @classmethod
    def of_id(cls, text: str) -> Image:
        """Raises ValueError unless `text` is a UUID of version 7 in its canonical form."""
        value = uuid.UUID(text)
        if value.version != 7 or str(value) != text:
            raise ValueError("not a UUID of version 7 in canonical form")
        return cls(text)

    @classmethod
    def of_key(cls, key: str) -> Image:
        """Raises ValueError unless `key` is the one that the id in it has."""
        image = cls.of_id(key.rsplit("/", 1)[-1])
        if image.key != key:
            raise ValueError("the key is not the one of its id")
        return image

    @property
    def received(self) -> datetime.datetime:
        return datetime.datetime.fromtimestamp((uuid.UUID(self.id).int >> 80) / 1000, datetime.timezone.utc)

    @property
    def expires(self) -> datetime.datetime:
        return self.received + KEPT

    @property
    def expires_at(self) -> int:
        """Seconds since 1970, as TTL attributes have it. Rounded down: nothing is read after `expires`."""
        return int(self.expires.timestamp())

    @property
    def hour(self) -> str:
        return self.received.strftime(HOUR)

    @property
    def shard(self) -> str:
        return self.id[-2:]

    @property
    def key(self) -> str:
        """The key in both buckets. The shard comes first, so that S3's partitions do not follow the clock."""
        return f"{self.shard}/{self.hour}/{self.id}"

    @property
    def row(self) -> dict[str, str]:
        """The primary key in the table of images."""
        return {"slot": slot(self.hour, self.shard), "image_id": self.id}


def slot(hour: str, shard: str) -> str:
    """The partition key of the table of images: one hour of one shard."""
    return f"{hour}#{shard}"


def past_hours(now: datetime.datetime, expired_for: datetime.timedelta, count: int) -> list[str]:
    """The newest `count` hours whose images have all been expired for `expired_for`, the newest first."""
    first = (now - KEPT - expired_for).replace(minute=0, second=0, microsecond=0) - datetime.timedelta(hours=1)
    return [(first - datetime.timedelta(hours=back)).strftime(HOUR) for back in range(count)]


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)
