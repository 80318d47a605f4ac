import hashlib, hmac, json, os, time, urllib.request

body = json.dumps({"event": "alert", "source": "python", "data": {"text": "hello"}}).encode()
timestamp = str(int(time.time()))
signature = hmac.new(os.environ["WEBHOOK_SECRET"].encode(), timestamp.encode() + b"." + body, hashlib.sha256)
headers = {"X-Timestamp": timestamp, "X-Signature": signature.hexdigest()}
print(urllib.request.urlopen(urllib.request.Request("TRIGGER_URL", body, headers)).status)
