function verify(headers, body) {
  const timestamp = headers["x-crewship-timestamp"] ?? "";
  if (!/^\d+$/.test(timestamp) || Math.abs(Date.now() / 1000 - timestamp) > 300) return false;
  const expected = createHmac("sha256", SECRET).update(`${timestamp}.`).update(body).digest();
  return (headers["x-crewship-signature"] ?? "").split(",").some((text) => same(Buffer.from(text, "hex"), expected));
}
