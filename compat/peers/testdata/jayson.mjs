// jayson's client for websockets, whose ids are random texts.
import jayson from "jayson";
import {failure, sent} from "./foreign.mjs";

// connected has f use a client, which is closed then. ask resolves with the whole answer, errors too.
const connected = (f, options) => async (url) => {
	const c = jayson.Client.websocket({url, ...options});
	await new Promise((resolve, reject) => c.ws.on("open", resolve).on("error", reject));
	const ask = (...args) =>
		new Promise((resolve, reject) => c.request(...args, (error, answer) => (error ? reject(error) : resolve(answer))));
	const answer = await f(ask, {c, frames: sent(c.ws)});
	c.ws.close();
	return answer;
};

// without leaves out the id, which is random.
const without = ({id, ...answer}) => answer;

export const cases = {
	calls: connected(async (ask, {c, frames}) => [
		c.ws.protocol,
		(await ask("square", [4])).result,
		(await ask("echo", {a: [1]})).result,
		(await ask("echo", [1, 2])).result,
		(await ask("nothing", [])).result,
		(await ask("square", [5], "my id")).id,
		frames.map(({id}) => /^[-0-9a-f]{36}$/.test(id)),
	]),

	errors: connected(
		async (ask) => [
			without(await ask("fail", [])),
			without(await ask("no.such", [])),
			await failure(ask("hold", ["a"])), // which it does not cancel
		],
		{timeout: 50},
	),

	batch: connected(async (ask, {c}) => {
		const batch = [
			c.request("square", [3], undefined),
			c.request("note", ["a"], null), // a notification
			c.request("notes", [], undefined),
			c.request("no.such", [], undefined),
		];
		return (await ask(batch)).map(without);
	}),

	// With notificationIdNull a notification has the id null. For the server it is a call then, whose answer nobody waits for.
	notify: connected(
		async (ask, {frames}) => {
			const none = await ask("note", ["a"], null);
			return [none ?? "no answer", frames.map(({id}) => id), (await ask("notes", [])).result];
		},
		{notificationIdNull: true},
	),

	// Pushes, calls and a goaway mean nothing to it, and do no harm.
	pushes: connected(async (ask) => [
		(await ask("push", {from: 0, to: 10})).result,
		(await ask("call", {method: "hello", value: 1, timeout: 50})).error.code,
		(await ask("square", [2])).result,
	]),

	restart: connected(async (ask, {c}) => {
		const closed = new Promise((resolve) => c.ws.on("close", (code, reason) => resolve([code, `${reason}`])));
		await ask("restart", []);
		return [(await ask("square", [5])).result, await closed];
	}),
};
