// json-rpc-2.0, in both directions by one socket, as its README has it.
import {createJSONRPCNotification, createJSONRPCRequest} from "json-rpc-2.0";
import {JSONRPCClient, JSONRPCErrorException, JSONRPCServer, JSONRPCServerAndClient} from "json-rpc-2.0";
import WebSocket from "ws";
import {failure, gather, sent} from "./foreign.mjs";

// connected has f use a client, which is closed then.
const connected = (f) => async (url) => {
	const socket = new WebSocket(url);
	const frames = sent(socket);
	const c = new JSONRPCServerAndClient(
		new JSONRPCServer({errorListener: () => {}}),
		new JSONRPCClient((request) => socket.send(JSON.stringify(request))),
	);
	socket.on("message", (data) => c.receiveAndSend(JSON.parse(data)));
	const closed = new Promise((resolve) => socket.on("close", (code, reason) => resolve([code, `${reason}`])));
	closed.then(([code, reason]) => c.rejectAllPendingRequests(`closed: ${code} ${reason}`));
	await new Promise((resolve, reject) => socket.on("open", resolve).on("error", reject));
	const answer = await f(c, {frames, socket, closed});
	socket.close();
	return answer;
};

export const cases = {
	calls: connected(async (c, {frames, socket}) => [
		socket.protocol,
		await c.request("square", [4]),
		await c.request("echo", {a: [1]}),
		await c.request("echo", [1, 2]),
		await c.request("nothing"),
		frames.map(({id}) => id),
	]),

	errors: connected(async (c) => [
		await failure(c.request("fail", {})),
		await failure(c.request("no.such", {})),
		await failure(c.request("square", 4)), // neither by name nor by position
		await failure(c.request("rpc.discover")),
		await failure(c.timeout(50).request("hold", ["a"])), // which it does not cancel
	]),

	batch: connected((c) =>
		c.requestAdvanced([
			createJSONRPCRequest(100, "square", [3]),
			createJSONRPCNotification("note", ["a"]),
			createJSONRPCRequest("x", "notes"),
			createJSONRPCRequest(101, "no.such"),
		]),
	),

	back: connected(async (c) => {
		c.addMethod("hello", ({name}) => `hello ${name}`);
		c.addMethod("sum", ([numbers]) => numbers.reduce((a, b) => a + b));
		c.addMethod("one", (params) => params);
		c.addMethod("nested", async ([n]) => (n > 0 ? await c.request("call", {method: "nested", value: n - 1}) : "the last one"));
		c.addMethod("broken", () => {
			throw new Error("everybody's business");
		});
		c.addMethod("refuse", () => {
			throw new JSONRPCErrorException("I am a teapot", 418, {by: "bob"});
		});
		const answers = [];
		for (const [method, value] of [
			["hello", {name: "bob"}], ["sum", [1, 2, 3]], ["one", 1], ["nested", 2], ["broken", 1], ["refuse", 1], ["no.such", 1],
		])
			answers.push([method, await c.request("call", {method, value})]);
		return answers;
	}),

	pushes: connected(async (c) => {
		const [got, add, all] = gather();
		c.addMethod("tick", ([n]) => add(n));
		c.notify("note", ["a"]);
		await c.request("push", {from: 0, to: 1000});
		await all(1000);
		return [got.every((n, i) => n === i), await c.request("notes")];
	}),

	// A call that the restarting server has begun is answered. One that comes behind the close frame is the app's to repeat.
	restart: connected(async (c, {closed}) => {
		const [got, add] = gather();
		c.addMethod("kami.goaway", add);
		await c.request("restart");
		const answer = await c.request("square", [5]);
		const [code, reason] = await closed;
		return [answer, got, code, reason];
	}),
};
