def verify(headers, body):
    timestamp = headers.get("X-Crewship-Timestamp", "")
    if not (timestamp.isascii() and timestamp.isdigit()) or abs(time.time() - int(timestamp)) > 300:
        return False
    expected = hmac.new(SECRET.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    signatures = headers.get("X-Crewship-Signature", "").split(",")
    return any(hmac.compare_digest(expected.encode(), s.encode()) for s in signatures)
