def verify(headers, body):
    expected = "sha1=" + hmac.new(SECRET.encode(), body, hashlib.sha1).hexdigest()
    return hmac.compare_digest(expected.encode(), headers.get("X-Shipway-Signature", "").encode())
