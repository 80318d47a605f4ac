function verify(headers, body) {
  const expected = createHmac("sha256", SECRET).update(body).digest("hex");
  return same(Buffer.from(headers["x-signature"] ?? ""), Buffer.from(expected));
}
