"""A spot instance's metadata service: python metadata_service.py FOLDER ADDRESS PORT.

Answers as AWS documents IMDSv2 (a token first); the notice of an interruption is what stands in FOLDER/notice, once it is there.
The port (0 takes a free one) stands in FOLDER/port when it listens.
"""

import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

TOKEN = "secret"


class MetadataHandler(BaseHTTPRequestHandler):
    """Answers one request; the server knows the folder."""

    def do_PUT(self) -> None:
        self.answer(200 if "X-aws-ec2-metadata-token-ttl-seconds" in self.headers else 400, TOKEN)

    def do_GET(self) -> None:
        notice: Path = self.server.folder / "notice"  # type: ignore[attr-defined]
        if self.headers.get("X-aws-ec2-metadata-token") != TOKEN:
            self.answer(401)
        elif self.path == "/latest/meta-data/spot/instance-action" and notice.exists():
            self.answer(200, notice.read_text())
        else:
            self.answer(404)

    def answer(self, status: int, text: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *words: object) -> None:
        """Says nothing."""


def serve(folder: Path, address: str, port: int) -> None:
    """Serves until the process ends."""
    with HTTPServer((address, port), MetadataHandler) as server:
        server.folder = folder  # type: ignore[attr-defined]
        (folder / "port.part").write_text(str(server.server_port))
        (folder / "port.part").rename(folder / "port")
        server.serve_forever()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
