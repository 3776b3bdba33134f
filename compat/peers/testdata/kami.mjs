// kami's own client, as it is in the repository. Each case gets the kind of socket: that of Node, or that of the package ws.
import net from "node:net";
import ws, {WebSocketServer} from "ws";
import {connect as connectTo, CallError, ClosedError} from "../../../peer/client/kami.js";

const sockets = {node: WebSocket, ws};
const connect = (url, kind, options) => connectTo(url, {WebSocket: sockets[kind], ...options});

const said = ({name, message, code, data, close, sent}) => ({name, message: message.replace(/:\d+$/, ""), code, data, close, sent});
const failure = (promise) => promise.then((value) => ({value}), said);
const code = (promise) => promise.then((value) => ({value}), (error) => error.code ?? error.name);

// connected has f use a client, which is closed then.
const connected = (f, options) => async (url, kind) => {
	const c = await connect(url, kind, options);
	try {
		return await f(c, url, kind);
	} finally {
		c.close();
	}
};

// collect returns an array that gets the pushes, and a function that waits until it has so many.
function collect(c) {
	const got = [];
	let enough, wake;
	c.on("tick", (n) => got.push(n) === enough && wake());
	return [got, (n) => (got.length >= n ? undefined : new Promise((resolve) => ((enough = n), (wake = resolve))))];
}

// watch returns options that note what becomes of a client, the notes, and a function that waits for so many of them.
function watch(more) {
	const notes = [];
	let enough, wake;
	const note = (text) => notes.push(text) === enough && wake();
	const options = {
		reconnect: {min: 1},
		resumed: (recovered) => note(`resumed ${recovered}`),
		changed: (state, error) => note(error ? `${state} ${error.close?.code}` : state),
		...more,
	};
	return [options, notes, (n) => (notes.length >= n ? undefined : new Promise((resolve) => ((enough = n), (wake = resolve))))];
}

// poll asks until the answer is the wanted one.
async function poll(question, wanted) {
	while ((await question()) !== wanted) await new Promise((resolve) => setTimeout(resolve, 10));
	return wanted;
}

const far = {min: 2e9, max: 2e9}; // a backoff that is not over before the test is

export const cases = {
	calls: connected(async (c) => [
		await c.call("square", 4),
		await c.call("echo", [1, [2]]),
		await c.call("echo", {a: null}),
		await c.call("echo", "ä\u2028😀"),
		await c.call("echo", [7]),
		await c.call("echo", false),
		await c.call("nothing"),
		await c.call("text"),
		[...(await c.call("bytes"))],
		await c.call("header", {}, {headers: {"X-Test": "x"}}),
		await c.call("kami.ping"),
		(await c.call("kami.info")).name,
		(await c.call("echo", "x".repeat(500_000))).length,
		await Promise.all([1, 2, 3].map((n) => c.call("square", n))),
	]),

	errors: connected(async (c) => [
		await failure(c.call("fail")),
		await failure(c.call("teapot")),
		await failure(c.call("panic")),
		await failure(c.call("no.such")),
		await code(c.call("square", "no number")),
		await c.call("fail").catch((error) => error instanceof CallError && error instanceof Error),
	]),

	async callbacks(url, kind) {
		console.error = () => {}; // of what broken throws
		const handlers = {
			hello: ({name}) => `hello ${name}`,
			sum: async (numbers) => numbers.reduce((a, b) => a + b),
			nested: async (n) => (n > 0 ? await c.call("call", {method: "nested", value: n - 1}) : "the last one"),
			refuse() {
				throw new CallError(418, "I am a teapot", {status: 418, by: "bob"});
			},
			broken() {
				throw new Error("nobody's business");
			},
			unsendable: () => 1n,
			unsendableError() {
				throw new CallError(400, "x", 1n);
			},
			nothing() {},
		};
		const c = await connect(url, kind, {handlers});
		const answers = [];
		for (const [method, value] of [
			["hello", {name: "bob"}], ["sum", [1, 2, 3]], ["nested", 3], ["refuse", 1], ["broken", 1],
			["unsendable", 1], ["unsendableError", 1], ["nothing", 1], ["no.such", 1], ["toString", 1], ["constructor", 1],
		])
			answers.push([method, await c.call("call", {method, value})]);
		c.close();
		return answers;
	},

	pushes: connected(async (c) => {
		const [got, all] = collect(c);
		await c.call("push", {from: 0, to: 1000});
		await Promise.all([c.call("push", {from: 1000, to: 2000}), c.call("push", {from: 2000, to: 3000})]);
		await all(3000);
		return [got.length, got.every((n, i) => n === i)];
	}),

	listeners: connected(async (c) => {
		console.error = () => {}; // of what a listener throws
		const got = [];
		c.on("tick", () => {
			throw new Error("nobody's business");
		});
		const off = c.on("tick", (n) => got.push(`a ${n}`));
		c.on("tick", (n, {seq}) => got.push(`b ${n} ${typeof seq}`));
		await c.call("push", {from: 0, to: 1});
		off();
		await c.call("push", {from: 1, to: 2});
		return got;
	}),

	cancel: connected(async (c) => {
		const abort = new AbortController(), reason = new Error("changed my mind");
		setTimeout(() => abort.abort(reason), 50);
		return [
			await c.call("wait", undefined, {signal: abort.signal}).catch((error) => error === reason),
			await c.call("wait", undefined, {signal: abort.signal}).catch((error) => error === reason),
			await c.call("wait", undefined, {timeout: 50}).catch((error) => [error instanceof DOMException, error.name]),
			await c.call("wait", undefined, {signal: AbortSignal.timeout(50)}).catch(({name}) => name),
			await c.call("square", 3, {timeout: 1e12}), // more than a timer can wait
			await c.call("square", 3, {timeout: Infinity}),
		];
	}),

	async canceled(url, kind) {
		let reason;
		const handlers = {
			slow: (_, {signal}) => new Promise((resolve) => signal.addEventListener("abort", () => resolve((reason = said(signal.reason))))),
		};
		const c = await connect(url, kind, {handlers});
		const status = await code(c.call("call", {method: "slow", value: 1, timeout: 50}));
		await poll(async () => reason !== undefined, true);
		c.close();
		return [status, reason];
	},

	notify: connected(async (c) => {
		for (const text of ["a", "b", "c"]) c.notify("note", text);
		c.notify("no.such", 1);
		return await c.call("notes");
	}),

	stream: connected(async (c) => {
		const got = [], few = [];
		for await (const n of c.stream("count", 1000)) got.push(n);
		for await (const n of c.stream("count", 1e9, {window: 4})) if (few.push(n) === 10) break;
		const failed = [];
		try {
			for await (const n of c.stream("teapot")) failed.push(n);
		} catch (error) {
			failed.push(error.code);
		}
		return [got.length, got.every((n, i) => n === i), few, failed, await c.call("square", 2)];
	}),

	async auth(url, kind) {
		const who = connected((c) => c.call("whoami"), {reconnect: false});
		const status = async (token) => (await failure(by(token))).close.code;
		const by = (token) => connected((c) => c.call("whoami"), {reconnect: false, token})(url, kind);
		let asked = 0;
		const second = connected((c) => c.call("whoami"), {reconnect: {min: 1}, token: () => (asked++ ? "secret-of-bob" : "guess")});
		return [
			await who(url, kind),
			await by("secret-of-bob"),
			await by("bearer secret-of-bob"),
			await by(async () => ({scheme: "Bearer", credential: "secret-of-bób"})),
			await by(() => undefined),
			await status("guess"),
			await status("Basic secret-of-bob"),
			await failure(by(() => Promise.reject(new Error("no token")))),
			[await second(url, kind), asked],
			await connected(async (c) => [
				await code(c.call("kami.auth", {scheme: "Bearer", credential: "guess"})),
				await c.call("kami.auth", {scheme: "Bearer", credential: "secret-of-bob"}),
				await c.call("whoami"),
			])(url, kind),
		];
	},

	async renew(url, kind) {
		console.error = () => {}; // of the token that fails
		const users = ["bob", undefined, "carol"];
		const token = () => {
			const user = users.shift();
			if (user) return {scheme: "Bearer", credential: `secret-of-${user}`, expires: Date.now() + (users.length ? 1000 : 1e12)};
			throw new Error("no token");
		};
		return connected(async (c) => [await c.call("whoami"), await poll(() => c.call("whoami"), "carol")], {token})(url, kind);
	},

	// refused is for an address where there is no peer.
	async refused(url, kind) {
		const [options, notes, enough] = watch();
		const abort = new AbortController();
		const going = failure(connect(url, kind, {...options, signal: abort.signal}));
		await enough(3);
		abort.abort(new Error("enough"));
		const {name, message, sent} = await failure(connect(url, kind, {reconnect: false}));
		return [name, message, sent, notes.slice(0, 3), await going];
	},

	async resume(url, kind) {
		const [options, notes, enough] = watch();
		const c = await connect(url, kind, options);
		const [got, all] = collect(c);
		await c.call("push", {from: 0, to: 5});
		const lost = [];
		for (let i = 5; i < 50; i += 15) {
			lost.push(await c.call("cut", {from: i, to: i + 10}).catch((error) => [error instanceof ClosedError, error.sent]));
			await all(i + 10);
			await c.call("push", {from: i + 10, to: i + 15});
		}
		await all(50);
		c.close();
		return [lost, got.length, got.every((n, i) => n === i), notes, (await c.closed).code];
	},

	async kick(url, kind) {
		const once = await connect(url, kind, {reconnect: false});
		const kicked = failure(once.call("kick", "bye"));
		const closed = await once.closed;
		const [options, notes, enough] = watch();
		const c = await connect(url, kind, options);
		await c.call("push", {from: 0, to: 5});
		c.call("kick", "bye").catch(() => {});
		await enough(4);
		const answer = await c.call("square", 2);
		c.close();
		await kicked; // whether it is answered before the close is left open
		return [closed, notes, answer];
	},

	// An app decides by the status that another connection is not wanted.
	async kickForGood(url, kind) {
		const c = await connect(url, kind, {
			reconnect: far,
			changed: (state, error) => state === "down" && error.close.code === 1008 && c.close(),
		});
		c.call("kick", "bye").catch(() => {});
		return [(await c.closed).code, await failure(c.call("square", 2))];
	},

	async moves(url, kind) {
		const [options, notes, enough] = watch();
		const c = await connect(url, kind, options), other = await connect(url, kind, {reconnect: false});
		const [got, all] = collect(c);
		const held = c.call("hold", "a"); // which pushes at its end
		await other.call("restart");
		await enough(3);
		const now = await c.call("node");
		await c.call("release", "a");
		const answer = await held;
		const closed = await other.closed;
		await c.call("push", {from: 0, to: 3});
		await all(4);
		c.close();
		return [now, answer, got, closed, notes];
	},

	// unsendable has values that are no JSON, with a connection and without.
	async unsendable(url, kind) {
		const [options, notes, enough] = watch();
		const c = await connect(url, kind, options);
		const fails = async () => [await failure(c.call("echo", 1n)).then(({name}) => name), notify()];
		const notify = () => {
			try {
				c.notify("note", 1n);
			} catch ({name}) {
				return name;
			}
		};
		const value = {now: 1};
		const answers = [await fails()];
		c.call("cut", {}).catch(() => {});
		await enough(2);
		answers.push(await fails());
		const waiting = c.call("echo", value);
		value.now = 2;
		answers.push(await waiting, await c.call("square", 3));
		c.close();
		return [answers, notes];
	},

	// hooks has functions of the app that throw.
	async hooks(url, kind) {
		console.error = () => {};
		const [options, notes, enough] = watch();
		for (const name of ["resumed", "changed"]) {
			const note = options[name];
			options[name] = (...args) => {
				note(...args);
				throw new Error("nobody's business");
			};
		}
		const c = await connect(url, kind, options);
		c.call("cut", {}).catch(() => {});
		await enough(4);
		const answer = await c.call("square", 3);
		c.close();
		await c.closed;
		return [answer, notes];
	},

	// unrun has a server that closes two connections with 1012 while they have a call, and answers by the third.
	async unrun(_, kind) {
		let closed = 0;
		const restarting = new WebSocketServer({port: 0, host: "127.0.0.1"}).on("connection", (socket) =>
			socket.on("message", (data) => {
				const {id, method} = JSON.parse(data);
				if (method === "kami.resume" || closed === 2) socket.send(JSON.stringify({jsonrpc: "2.0", id, result: method}));
				else socket.close(1012, `time ${++closed}`);
			}),
		);
		await new Promise((resolve) => restarting.once("listening", resolve));
		const url = `http://127.0.0.1:${restarting.address().port}`;
		const once = await connect(url, kind, {reconnect: false});
		const unsent = await failure(once.call("hello"));
		const c = await connect(url, kind, {reconnect: {min: 1}});
		const answer = await c.call("hello");
		c.close();
		restarting.close();
		return [unsent, answer, closed];
	},

	// elsewhere has a server that says to go to other places, at once each time.
	async elsewhere() {
		const urls = [];
		class Socket {
			constructor(url) {
				urls.push(`${url}`);
				setTimeout(() => this.onopen());
			}
			send(text) {
				const {id} = JSON.parse(text);
				const places = ["ws://own.test/", "wss://other.test/", "wss://notown.test/", "wss://own.test@other.test/", "ftp://own.test/", "//"];
				const url = [...places, "wss://own.test/next", "https://two.OWN.test:8443/"][urls.length - 1];
				const tell = (frame) => setTimeout(() => this.onmessage({data: JSON.stringify(frame)}));
				tell({id, result: {}});
				if (url) tell({method: "kami.goaway", params: {within: 0, url}});
			}
			close() {}
		}
		const options = {WebSocket: Socket, token: "secret", reconnect: {min: 1}};
		const c = await connectTo("https://own.test/kite", options);
		await poll(async () => urls.length, 9);
		c.close();
		return urls;
	},

	// mistakes of the app must not look like a server that is away.
	async mistakes(url) {
		const errors = [await failure(connectTo("/kite")).then(({name}) => name)];
		delete globalThis.WebSocket;
		return [...errors, await failure(connectTo(url))];
	},

	// The cases from here on end only if nothing keeps Node alive.

	async closed(url, kind) {
		const c = await connect(url, kind);
		const flying = failure(c.call("wait"));
		c.close();
		c.close();
		let notified;
		try {
			c.notify("note", "x");
		} catch (error) {
			notified = error instanceof ClosedError;
		}
		return [await flying, await failure(c.call("square", 2)), notified, await c.closed];
	},

	async closeInBackoff(url, kind) {
		const [options, , enough] = watch({reconnect: far});
		const c = await connect(url, kind, options);
		c.call("cut", {}).catch(() => {});
		await enough(2);
		const waiting = failure(c.call("square", 2));
		c.close();
		return [await waiting, await c.closed];
	},

	async closeAfterGoaway(url, kind) {
		const c = await connect(url, kind);
		await c.call("say", {method: "kami.goaway", value: {within: 2e9}});
		c.close();
		return await c.closed;
	},

	async closeAfterRenewal(url, kind) {
		const c = await connect(url, kind, {token: () => ({scheme: "Bearer", credential: "secret-of-bob", expires: Date.now() + 1e12})});
		c.close();
		return await c.closed;
	},

	// abortConnect connects to what accepts, and says nothing.
	async abortConnect(_, kind) {
		const silent = net.createServer().listen(0, "127.0.0.1");
		const came = new Promise((resolve) => silent.once("connection", resolve));
		await new Promise((resolve) => silent.once("listening", resolve));
		const abort = new AbortController();
		const connecting = failure(connect(`http://127.0.0.1:${silent.address().port}`, kind, {signal: abort.signal}));
		const socket = await came;
		const gone = new Promise((resolve) => socket.on("close", resolve).on("error", () => {}).resume());
		abort.abort(new Error("enough"));
		const result = await connecting;
		await gone;
		silent.close();
		return result;
	},
};
