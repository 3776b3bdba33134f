// vscode-ws-jsonrpc with vscode-jsonrpc, as language servers are used from a page.
import {createWebSocketConnection, toSocket} from "vscode-ws-jsonrpc";
import jsonrpc from "vscode-jsonrpc";
import WebSocket from "ws";
import {failure, gather, sent} from "./foreign.mjs";

const {CancellationTokenSource, ErrorCodes, ResponseError} = jsonrpc;
const quiet = {error() {}, warn() {}, info() {}, log() {}};

// connected has f use a client, which is closed then.
const connected = (f) => async (url) => {
	const socket = new WebSocket(url);
	const frames = sent(socket);
	await new Promise((resolve, reject) => ((socket.onopen = resolve), (socket.onerror = reject)));
	const c = createWebSocketConnection(toSocket(socket), quiet);
	c.listen();
	const answer = await f(c, {frames, socket});
	socket.close();
	return answer;
};

export const cases = {
	calls: connected(async (c, {frames, socket}) => [
		socket.protocol,
		await c.sendRequest("square", 4),
		await c.sendRequest("echo", {a: [1]}),
		await c.sendRequest("echo", 1, 2),
		await c.sendRequest("echo", [1, 2]),
		await c.sendRequest("nothing"),
		await c.sendRequest("echo", "x"),
		frames.map(({id, params}) => [id, params]),
	]),

	errors: connected(async (c) => [
		await failure(c.sendRequest("fail")),
		await failure(c.sendRequest("no.such")),
		await failure(c.sendRequest("square", "no number")).then(({code}) => code),
		await c.sendRequest("teapot").catch((error) => error instanceof ResponseError),
	]),

	cancel: connected(async (c, {frames}) => {
		const first = new CancellationTokenSource(), second = new CancellationTokenSource();
		const waiting = failure(c.sendRequest("wait", first.token));
		const queued = failure(c.sendRequest("square", 4, second.token)); // runs when the first has ended
		second.cancel();
		first.cancel();
		return [await waiting, await queued, frames.filter(({id}) => id === undefined)];
	}),

	back: connected(async (c) => {
		let canceled;
		c.onRequest("hello", ({name}) => `hello ${name}`);
		c.onRequest("sum", (numbers) => numbers.reduce((a, b) => a + b));
		c.onRequest("nested", async (n) => (n > 0 ? await c.sendRequest("call", {method: "nested", value: n - 1}) : "the last one"));
		c.onRequest("nothing", () => null);
		c.onRequest("broken", () => {
			throw new Error("everybody's business");
		});
		c.onRequest("refuse", () => new ResponseError(418, "I am a teapot", {by: "bob"}));
		c.onRequest("params", () => new ResponseError(ErrorCodes.InvalidParams, "not so"));
		const noted = new Promise((resolve) => (canceled = resolve));
		c.onRequest("slow", (_, token) => new Promise((resolve) => token.onCancellationRequested(() => resolve(canceled("canceled")))));
		const answers = [];
		for (const [method, value] of [
			["hello", {name: "bob"}], ["sum", [1, 2, 3]], ["nested", 2], ["nothing", 1], ["broken", 1], ["refuse", 1], ["params", 1], ["no.such", 1],
		])
			answers.push([method, await c.sendRequest("call", {method, value})]);
		const late = await failure(c.sendRequest("call", {method: "slow", value: 1, timeout: 50}));
		return [...answers, late.code, await noted];
	}),

	pushes: connected(async (c) => {
		const [got, add, all] = gather();
		c.onNotification("tick", add);
		await c.sendNotification("note", "a");
		await c.sendRequest("push", {from: 0, to: 1000});
		await all(1000);
		return [got.every((n, i) => n === i), await c.sendRequest("notes")];
	}),

	restart: connected(async (c) => {
		const [got, add] = gather();
		c.onNotification("kami.goaway", add);
		const [errors, note] = gather();
		c.onError(([{name, message}]) => note([name, message]));
		const closed = new Promise((resolve) => c.onClose(resolve));
		await c.sendRequest("restart");
		const answer = await c.sendRequest("square", 5);
		await closed;
		return [answer, got, errors];
	}),
};
