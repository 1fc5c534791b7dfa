"""Texts as every library below can read them."""


def well_formed(text: str) -> str:
    """The text without lone surrogates, which JSON can carry but UTF-8 cannot; each becomes a question mark."""
    return text.encode("utf-8", "replace").decode("utf-8")
