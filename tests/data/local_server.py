"""A server of this machine that can answer in the middle of a file, end early, or refuse: for tests of downloads."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        asked = self.headers.get("Range")
        server.asked.append(asked)
        content = server.content.get(self.path)
        if content is None:
            self.send_error(404)
            return
        begin = int(asked.removeprefix("bytes=").rstrip("-")) if asked and server.ranges else 0
        if begin > len(content):
            self.send_error(416)
            return
        self.send_response(206 if asked and server.ranges else 200)
        self.send_header("Content-Length", str(len(content) - begin))
        self.end_headers()
        self.wfile.write(content[begin : server.most])

    def log_message(self, *words):
        pass


@contextmanager
def serving(**content):
    """Serve ``content`` by path; ``most`` bytes at most, and answer in the middle of a file only with ``ranges``."""
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.content = {f"/{name}": values for name, values in content.items()}
        server.most, server.ranges, server.asked = None, True, []
        server.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
