"""Names of classes as numbers, so that features can say what a backbone found."""

from hashlib import sha256


def name_number(name: str) -> int:
    """A number for a class's name, in [-2^31, 2^31); two of a thousand names have the same with a probability of about 1 in 10,000."""
    return int.from_bytes(sha256(name.encode("utf-8", "surrogatepass")).digest()[:4], "little", signed=True)
