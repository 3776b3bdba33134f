// ethers, whose params are by position, as those of all nodes of Ethereum.
import {WebSocketProvider} from "ethers";
import WebSocket from "ws";
import {gather, sent} from "./foreign.mjs";

const failure = (promise) => promise.then((value) => ({value}), ({code, shortMessage, error}) => ({code, shortMessage, error}));

// connected has f use a provider, which is closed then.
const connected = (f) => async (url) => {
	const socket = new WebSocket(url);
	const frames = sent(socket);
	const provider = new WebSocketProvider(socket, 1);
	const closed = new Promise((resolve) => socket.on("close", (code, reason) => resolve([code, `${reason}`])));
	const answer = await f(provider, {frames, closed});
	await provider.destroy();
	return answer;
};

export const cases = {
	calls: connected(async (p, {frames}) => [
		await p.getBlockNumber(),
		`${await p.getBalance("0x0000000000000000000000000000000000000001")}`,
		await p.send("square", [4]),
		await p.send("echo", [1, 2]),
		await p.send("echo", {a: 1}),
		await p.send("nothing", []),
		frames.map(({id, params}) => [id, params]),
	]),

	errors: connected(async (p) => [await failure(p.send("fail", [])), await failure(p.send("no.such", []))]),

	blocks: connected(async (p) => {
		const [got, add, all] = gather();
		await p.on("block", add);
		await all(2);
		return got;
	}),

	// Other notifications, and calls, are errors to it. None of them ends anything.
	others: connected(async (p) => {
		const [got, add, all] = gather();
		await p.on("error", ({shortMessage, reasonCode}) => add([shortMessage, reasonCode]));
		await p.send("push", {from: 0, to: 1});
		const call = await failure(p.send("call", {method: "hello", value: 1, timeout: 50}));
		await all(3);
		return [got, call.error?.code, await p.send("square", [2])];
	}),

	restart: connected(async (p, {closed}) => {
		await p.on("error", () => {});
		await p.send("restart", []);
		return [await p.send("square", [5]), await closed];
	}),
};
