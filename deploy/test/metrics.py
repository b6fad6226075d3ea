"""A gateway's /metrics with 41 waiting tasks, for whoever has the token:  metrics.py PORT TOKEN"""
import http.server
import sys

port, token = sys.argv[1:]


class Metrics(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        good = self.path == "/metrics" and self.headers["Authorization"] == f"Bearer {token}"
        self.send_response(200 if good else 401)
        self.end_headers()
        if good:
            self.wfile.write(b'sundog_queue_messages{queue="jobs"} 3\nsundog_queue_messages{queue="tasks"} 41\n')

    def log_message(self, *_):
        pass


http.server.HTTPServer(("127.0.0.1", int(port)), Metrics).serve_forever()
