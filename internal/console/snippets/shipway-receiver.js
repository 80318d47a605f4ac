function verify(headers, body) {
  const expected = "sha1=" + createHmac("sha1", SECRET).update(body).digest("hex");
  return same(Buffer.from(headers["x-shipway-signature"] ?? ""), Buffer.from(expected));
}
