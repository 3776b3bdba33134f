// rpc-websockets, which connects again by itself, and takes no calls.
import {Client} from "rpc-websockets";
import {failure, gather, sent} from "./foreign.mjs";

// connected has f use a client, which is closed then.
const connected = (f, options) => async (url) => {
	const c = new Client(url, {reconnect: false, ...options});
	const [, opened, open] = gather();
	c.on("open", opened);
	await open(1);
	try {
		return await f(c, {frames: sent(c.socket), open});
	} finally {
		c.close();
	}
};

export const cases = {
	calls: connected(async (c, {frames}) => [
		await c.call("square", [4]),
		await c.call("echo", {a: [1]}),
		await c.call("echo", [1, 2]),
		await c.call("nothing"),
		frames.map(({id}) => id),
	]),

	errors: connected(async (c) => [
		await failure(c.call("fail")),
		await failure(c.call("no.such")),
		await failure(c.call("hold", ["a"], 50)), // which it does not cancel
		await failure(connected((other) => other.listMethods())(c.address)),
		await failure(connected((other) => other.login({}))(c.address)),
		await failure(connected((other) => other.subscribe("tick"))(c.address)),
	]),

	pushes: connected(async (c) => {
		const [got, add, all] = gather();
		c.on("tick", ([n]) => add(n));
		await c.notify("note", ["a"]);
		await c.call("push", {from: 0, to: 1000});
		await all(1000);
		return [got.every((n, i) => n === i), await c.call("notes")];
	}),

	// A call of the server's is an event, and is never answered.
	back: connected(async (c) => {
		const [got, add] = gather();
		c.on("hello", add);
		return [await failure(c.call("call", {method: "hello", value: {name: "bob"}, timeout: 50})), got];
	}),

	restart: connected(
		async (c, {open}) => {
			const [got, add] = gather(), [closes, close] = gather();
			c.on("kami.goaway", add);
			c.on("close", (code, reason) => close([code, reason]));
			await c.call("restart");
			const answer = await c.call("square", [5]);
			await open(2);
			return [answer, got, closes, await c.call("node")];
		},
		{reconnect: true, reconnect_interval: 1},
	),
};
