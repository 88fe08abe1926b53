"""GET /images and GET /images/{id}: a user's own images, and addresses at the CDN that end with the image.

An item is shown until the second it expires, whether or not TTL or the sweep has removed it."""

from __future__ import annotations

import datetime
import functools
from typing import Any

from botocore.signers import CloudFrontSigner
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from images import KEPT, Image, now
from platform_io import answer, client, owner_of, setting, table

PAGE = 50
ADDRESS_VALID = datetime.timedelta(minutes=10)


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    owner = owner_of(event)
    wanted = (event.get("pathParameters") or {}).get("id")
    try:
        if wanted is None:
            before = (event.get("queryStringParameters") or {}).get("before")
            return answer(200, page(owner, Image.of_id(before) if before else None))
        item = table(setting("IMAGES")).get_item(Key=Image.of_id(wanted).row).get("Item")
    except ValueError:
        return answer(400, {"error": "an id is a UUID of version 7"})
    # Another user's image is answered as one that does not exist.
    if item is None or item.get("owner") != owner or item["expires_at"] <= now().timestamp():
        return answer(404, {"error": "no such image, or it has expired"})
    return answer(200, shown(item))


def page(owner: str, before: Image | None) -> dict[str, Any]:
    """The newest images, or those before one. Ids are ordered by time: expired ones are not even read."""
    oldest = f"{int((now() - KEPT).timestamp() * 1000):012x}"
    upper = before.id if before else "g"
    found = table(setting("IMAGES")).query(
        IndexName="by_owner",
        KeyConditionExpression="#owner = :owner and image_id between :oldest and :upper",
        ExpressionAttributeNames={"#owner": "owner"},
        ExpressionAttributeValues={":owner": owner, ":oldest": f"{oldest[:8]}-{oldest[8:]}", ":upper": upper},
        ScanIndexForward=False,
        Limit=PAGE + 1,
    )["Items"]
    images = [item for item in found if item["image_id"] != upper and item["expires_at"] > now().timestamp()][:PAGE]
    return {"images": [shown(item) for item in images], "before": images[-1]["image_id"] if len(found) > PAGE else None}


def shown(item: dict[str, Any]) -> dict[str, Any]:
    names = ("image_id", "state", "reason", "metadata", "expires_at")
    result = {name: item[name] for name in names if name in item}
    if item["state"] == "done":
        result["url"] = address(Image.of_id(item["image_id"]))
    return result


def address(image: Image) -> str:
    until = min(now() + ADDRESS_VALID, image.expires)
    # CloudFront compares whole seconds: rounded down, the address ends before the image.
    url = f"https://{setting('CDN')}/{image.key}"
    return signer().generate_presigned_url(url, date_less_than=until.replace(microsecond=0))


@functools.cache
def signer() -> CloudFrontSigner:
    secret = client("secretsmanager").get_secret_value(SecretId=setting("SIGNING_KEY"))["SecretString"]
    key = serialization.load_pem_private_key(secret.encode(), None)
    # CloudFront takes RSA signatures of SHA-1 only.
    return CloudFrontSigner(setting("SIGNING_KEY_ID"), lambda text: key.sign(text, padding.PKCS1v15(), hashes.SHA1()))
