import base64, hashlib, hmac, http.server, os, time

SECRET = os.environ["WEBHOOK_SECRET"]

VERIFY

class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204 if verify(self.headers, body) else 401)
        self.end_headers()

http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Receiver).serve_forever()
