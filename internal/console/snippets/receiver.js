const { createHmac, timingSafeEqual } = require("node:crypto");
const { createServer } = require("node:http");

const SECRET = process.env.WEBHOOK_SECRET;
const same = (a, b) => a.length === b.length && timingSafeEqual(a, b);

VERIFY

createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    response.writeHead(verify(request.headers, Buffer.concat(chunks)) ? 204 : 401).end();
  });
}).listen(process.env.PORT, "127.0.0.1");
