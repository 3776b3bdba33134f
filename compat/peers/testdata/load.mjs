// Many of kami's own clients that call while their server is restarted, for Node and for a page.
import {connect} from "../../../peer/client/kami.js";

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// load has so many clients call until over() is true. It calls connected when all are, and returns what has become of the calls. Each has
// a push before its answer.
export async function load(url, clients, connected, over, WebSocket = globalThis.WebSocket) {
	const result = {answered: [], failed: 0, failures: [], disordered: 0, slowest: 0, connections: 0};
	const changed = (state) => state === "open" && result.connections++;
	const all = await Promise.all(Array.from({length: clients}, () => connect(url, {WebSocket, changed})));
	connected();
	await Promise.all(all.map((c, n) => work(c, n, result, over)));
	return result;
}

async function work(c, n, result, over) {
	const ticks = [], wanted = [];
	c.on("tick", (id) => ticks.push(id));
	for (let i = 0; !over(); i++) {
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
