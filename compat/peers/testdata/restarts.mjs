// Runs load.mjs in Node until this process's input ends:
//
//	node restarts.mjs ws://127.0.0.1:1234/kite <kind of socket> <clients>
//
// It prints "connected" when all clients are, and at last what has become of the calls.
import ws from "ws";
import {load} from "./load.mjs";

const [url, kind, clients] = process.argv.slice(2);
let over = false;
process.stdin.on("end", () => (over = true)).resume();
const result = await load(url, Number(clients), () => console.log("connected"), () => over, {ws}[kind]);
console.log(JSON.stringify(result));
