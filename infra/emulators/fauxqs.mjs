// Starts fauxqs, in memory, on a free port, and prints its URL.
// It imports node:sqlite for its persistence alone, which is not used here:
// an empty stand-in lets it run on Node 20, which has no such module.
import { register } from "node:module";

const standIn = "data:text/javascript,export class DatabaseSync {}";
const hook = `export async function resolve(specifier, context, next) {
  if (specifier === "node:sqlite") return { url: "${standIn}", shortCircuit: true };
  return next(specifier, context);
}`;
register("data:text/javascript," + encodeURIComponent(hook));

const { startFauxqs } = await import("fauxqs");
const server = await startFauxqs({ port: 0, logger: false });
console.log(`http://127.0.0.1:${server.port}`);
