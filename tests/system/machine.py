"""A machine in a folder, for the probes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from fidokit.system.host import Host

FIDO_DESCRIPTOR = bytes.fromhex(
    "06d0f1 0901 a101 0920 1500 26ff00 7508 9540 8102 0921 1500 26ff00 7508 9540 9102 c0"
)
KEYBOARD_DESCRIPTOR = bytes.fromhex("0501 0906 a101 0507 19e0 29e7 1500 2501 7501 9508 8102 c0")


class Machine:
    """Builds a Host: what is not said is absent."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environ: dict[str, str] = {"HOME": str(root / "home")}
        self.programs: dict[tuple[str, ...], str] = {}
        self.modules: set[str] = set()
        self.agents: Mapping[str, bytes | OSError] = {}
        self.listeners: dict[str, str] = {}
        self.forbidden: set[Path] = set()
        self.platform = "linux"
        self.requests: list[bytes] = []

    def hidraw(self, name: str, descriptor: bytes, *, node: bool = True) -> Path:
        device = self.root / "sys/class/hidraw" / name / "device"
        device.mkdir(parents=True)
        (device / "report_descriptor").write_bytes(descriptor)
        (device / "uevent").write_text("DRIVER=hid-generic\nHID_NAME=Maker Token 5\nHID_UNIQ=\n")
        path = self.root / "dev" / name
        path.parent.mkdir(exist_ok=True)
        if node:
            path.write_bytes(b"")
        return path

    def process(self, pid: int, name: str, opened: Sequence[str] = ()) -> None:
        folder = self.root / "proc" / str(pid)
        (folder / "fd").mkdir(parents=True)
        (folder / "comm").write_text(name + "\n")
        for number, target in enumerate(opened):
            (folder / "fd" / str(number)).symlink_to(target)

    def exchange(self, path: str, request: bytes) -> bytes:
        self.requests.append(request)
        answer = self.agents[path]
        if isinstance(answer, OSError):
            raise answer
        return answer

    def host(self) -> Host:
        return Host(
            root=self.root,
            environ=self.environ,
            run=lambda argv: self.programs.get(tuple(argv)),
            exchange=self.exchange,
            listener=lambda path: self.listeners.get(path, ""),
            access=lambda path: path not in self.forbidden,
            has_module=lambda name: name in self.modules,
            platform=self.platform,
            user_id=self.root.stat().st_uid,
        )
