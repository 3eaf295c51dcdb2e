"""Files as a power cut or a foreign program leaves them."""

from pathlib import Path

WAYS = ("empty", "cut", "garbage")


def damage(path: Path, way: str) -> None:
    content = path.read_bytes()
    damaged = {"empty": b"", "cut": content[: len(content) // 2], "garbage": b"\x93\xffnot what was here " * 40}
    path.unlink()  # others may have mapped it
    path.write_bytes(damaged[way])
