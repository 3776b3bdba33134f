// Many of kami's own clients that call until this process's input ends, while their server is restarted:
//
//	node load.mjs ws://127.0.0.1:1234/kite <kind of socket> <clients>
//
// It prints "connected" when all are, and at last what has become of the calls. Each has a push before its answer.
import ws from "ws";
import {connect} from "../../../peer/client/kami.js";

const [url, kind, clients] = process.argv.slice(2);
const WebSocketOf = {node: globalThis.WebSocket, ws};
const result = {answered: [], failed: 0, failures: [], disordered: 0, slowest: 0, connections: 0};

let over = false;
process.stdin.on("end", () => (over = true)).resume();

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const connected = () =>
	connect(url, {
		WebSocket: WebSocketOf[kind],
		changed: (state) => state === "open" && result.connections++,
	});

async function work(c, n) {
	const ticks = [], wanted = [];
	c.on("tick", (id) => ticks.push(id));
	for (let i = 0; !over; i++) {
		const id = `${n}-${i}`, began = performance.now();
		try {
			const answer = await c.call("tick", id, {timeout: 30_000});
			if (answer !== `ok ${id}`) throw new Error(`the answer is ${answer}`);
			wanted.push(id);
			result.answered.push(id);
			result.slowest = Math.max(result.slowest, performance.now() - began);
			if (ticks.length !== wanted.length || ticks.at(-1) !== id) result.disordered++;
		} catch (error) {
			result.failed++;
			if (result.failures.length < 10) result.failures.push(`${id}: ${error}`);
		}
		await pause(10 + Math.random() * 20);
	}
	if (ticks.join() !== wanted.join()) result.disordered++;
	c.close();
}

const all = await Promise.all(Array.from({length: Number(clients)}, connected));
console.log("connected");
await Promise.all(all.map(work));
console.log(JSON.stringify(result));
