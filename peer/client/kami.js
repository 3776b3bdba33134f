// The browser's and Node's end of a kami peer: JSON-RPC 2.0 over a websocket, in both directions. See kami.d.ts and docs/peers.md.
//
//	const c = await connect("/kite", {handlers: {hello: ({name}) => `hello ${name}`}});
//	c.on("chat", (line) => show(line));
//	const room = await c.call("room.join", {name: "lobby"});

const notFound = -32601, canceled = -32800;
const heartbeat = 25_000; // ms
const longLived = 10_000; // ms that a connection must have lived for the next attempt to come at once
const settled = 1000; // ms that a connection must have lived for a goaway not to count as a failure
const longestTimer = 2 ** 31 - 1; // ms; a longer one fires at once
const retry = 5000; // ms until the function of the token is called again after it has failed
const restarts = 1012; // the status of a close that says: unanswered calls have not run

// The status of each code of JSON-RPC. Other codes outside 400 to 599 are 500.
const statuses = {"-32601": 404, "-32600": 400, "-32602": 400, "-32700": 400, "-32800": 499};
const statusOf = (code) => statuses[code] ?? (code >= 400 && code < 600 ? code : 500);

export class CallError extends Error {
	name = "CallError";
	constructor(code, message, data) {
		super(message);
		this.code = code;
		this.data = data;
	}
}

export class ClosedError extends Error {
	name = "ClosedError";
	constructor(close, sent) {
		super(`the connection is closed: ${close.code}${close.reason && " " + close.reason}`);
		this.close = close;
		this.sent = sent;
	}
}

// wrap makes params of a value, and unwrap a value of params. An object is its own params; any other value is in an array of one.
const wrap = (value) => (value === undefined || isObject(value) ? value : [value]);
const unwrap = (params) => bytes(Array.isArray(params) && params.length < 2 ? params[0] : params);
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const encode = (frame) => JSON.stringify({jsonrpc: "2.0", ...frame});
const bytes = (value) =>
	typeof value?.$base64 === "string" ? Uint8Array.from(atob(value.$base64), (c) => c.charCodeAt(0)) : value;

// tell calls a function of the app, if there is one. An error that it throws does not stop the client.
function tell(listener, ...args) {
	try {
		listener?.(...args);
	} catch (error) {
		console.error(error);
	}
}

// credentialOf returns the scheme and credential of a token. A token without a scheme is a Bearer token.
async function credentialOf(token) {
	const value = typeof token === "function" ? await token() : token;
	if (!value) return undefined;
	if (typeof value !== "string") return value;
	const at = value.indexOf(" ");
	return at < 0 ? {scheme: "Bearer", credential: value} : {scheme: value.slice(0, at), credential: value.slice(at + 1)};
}

const base64url = (text) =>
	btoa(String.fromCharCode(...new TextEncoder().encode(text)))
		.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

// Link is one websocket. A client has one, or two while it moves to a new one.
class Link {
	calls = new Map(); // calls that the server has not answered, by id
	running = new Map(); // AbortControllers of the server's calls, by id
	opened = Date.now();
	quiet = 0; // heartbeats since a frame has come
	over = false;
	retired = false; // another link has replaced this one
	leaving; // timer of the move to another link, once the server has said goodbye
	expires; // when the credential does; undefined if it does not

	constructor(client, socket) {
		this.client = client;
		this.socket = socket;
		this.open = new Promise((resolve, reject) => {
			socket.onopen = resolve;
			this.failed = reject;
		});
		socket.onmessage = ({data}) => this.over || this.receive(JSON.parse(data));
		socket.onclose = ({code, reason}) => this.end({code, reason});
		// In Node 20 no onclose follows where there was no connection. A browser's event has no message.
		socket.onerror = ({message = ""}) => this.end({code: 1006, reason: message});
		this.timer = setInterval(() => this.beat(), heartbeat);
	}

	post(frame) {
		this.send(encode(frame));
	}

	send(text) {
		if (!this.over) this.socket.send(text);
	}

	// request sends a call. A call that was cancelled stays in calls until its answer has come, because retire waits for the
	// answer.
	request(call) {
		call.link = this;
		if (call.id !== undefined) this.calls.set(call.id, call);
		const timeout = Math.max(0, Math.ceil(call.deadline - Date.now())) + 100;
		this.send(call.deadline ? `${call.text.slice(0, -1)},"timeout":${timeout}}` : call.text);
	}

	// ask makes a call of the protocol, which is not repeated on another link. It calls then before the next frame is read.
	ask(method, params, then) {
		return new Promise((resolve, reject) => {
			const settle = (error, value) => {
				then?.(error, value);
				error ? reject(error) : resolve(value);
			};
			const id = this.client.id();
			this.request({id, text: encode({id, method, params}), settle, own: true});
		});
	}

	receive(frame) {
		this.quiet = 0;
		if (Array.isArray(frame)) frame.forEach((f) => this.receive(f));
		else if (frame.method === undefined) this.answered(frame);
		else this.called(frame);
	}

	answered({id, result, error}) {
		const call = this.calls.get(id);
		this.calls.delete(id);
		call?.settle(error && new CallError(statusOf(error.code), error.message, error.data), bytes(result));
		this.closeIfDone();
	}

	called({id, method, params, headers, seq}) {
		switch (method) {
			case "kami.goaway":
				return this.client.goaway(this, params);
			case "$/item":
				return this.calls.get(params.id)?.item?.(bytes(params.value));
			case "$/cancelRequest":
				return this.running.get(params.id)?.abort(new CallError(499, "canceled"));
		}
		if (id !== undefined) this.run(id, method, unwrap(params), headers);
		else this.client.notified(this, method, unwrap(params), headers, seq);
	}

	async run(id, method, value, headers) {
		const abort = new AbortController();
		this.running.set(id, abort);
		const fail = (error) =>
			this.post({id, error: abort.signal.aborted ? {code: canceled, message: "canceled"} : failure(error)});
		try {
			const {handlers} = this.client;
			if (!Object.hasOwn(handlers, method)) throw new CallError(notFound, `there is no method ${method}`);
			const result = await handlers[method](value, {headers, signal: abort.signal});
			this.post({id, result: result ?? null});
		} catch (error) {
			try {
				fail(error);
			} catch (unsendable) {
				fail(unsendable);
			}
		}
		this.running.delete(id);
		this.closeIfDone();
	}

	// retire closes the link as soon as nothing is under way on it.
	retire() {
		this.retired = true;
		this.closeIfDone();
	}

	closeIfDone() {
		if (this.retired && !this.calls.size && !this.running.size) this.shut(1000);
	}

	// beat notices that the server is gone. The socket may not notice for many minutes, and does not show the server's pings.
	beat() {
		this.quiet++;
		if (this.quiet === 2) this.ask("kami.ping").catch(() => {});
		if (this.quiet > 2) this.shut(4000, "the server is silent");
	}

	// shut does not wait for the server's close frame.
	shut(code, reason = "") {
		this.socket.close(code, reason);
		this.end({code, reason});
	}

	end(close) {
		if (this.over) return;
		this.over = true;
		clearInterval(this.timer);
		clearTimeout(this.leaving);
		this.failed(new ClosedError(close, false));
		for (const abort of this.running.values()) abort.abort(new ClosedError(close, true));
		this.client.ended(this, close);
	}
}

// failure makes an answer of a handler's error. The server gets the text only of a CallError.
function failure(error) {
	if (error instanceof CallError) return {code: error.code, message: error.message, data: error.data};
	console.error(error);
	return {code: 500, message: "Internal Server Error"};
}

class Client {
	#url;
	#options;
	#backoff; // undefined: a lost connection is not replaced
	#links = new Set(); // every link that has not ended, also while it is being made or retires
	#link; // the one for calls; undefined while there is none
	#live; // the link that has resumed last
	#recovered = false; // it has taken over the session of the link before
	#dialing = false;
	#over = false;
	#ended = false; // the app was told that the client is closed
	#wake; // ends the pause between two attempts
	#waiting = new Set(); // calls that wait for a link
	#listeners = new Map(); // sets of functions, by method
	#tries = 0;
	#ids = 0;
	#session = {token: "", seq: 0};
	#renewal;
	#finish;

	constructor(url, options) {
		addressOf(url); // throws if it is not a URL
		this.#url = url;
		this.#options = {...options, WebSocket: options.WebSocket ?? WebSocket};
		this.handlers = options.handlers ?? {};
		if (options.reconnect !== false) this.#backoff = {min: 250, max: 30_000, ...options.reconnect};
		this.closed = new Promise((resolve) => (this.#finish = resolve));
		options.signal?.addEventListener("abort", () => this.close());
	}

	call(method, value, options = {}) {
		return this.#start({method, params: wrap(value), headers: options.headers}, options).answer;
	}

	notify(method, value, {headers} = {}) {
		this.#send({
			text: encode({method, params: wrap(value), headers}),
			settle(error) {
				throw error;
			},
		});
	}

	async *stream(method, value, {window = 64, signal, headers} = {}) {
		const items = [], leave = new AbortController();
		let wake, over, taken = 0;
		const call = this.#start(
			{method, params: wrap(value), headers, stream: window},
			{signal: signal ? AbortSignal.any([signal, leave.signal]) : leave.signal},
			(item) => wake?.(items.push(item)),
		);
		call.answer.then(() => (over = {}), (error) => (over = {error})).then(() => wake?.());
		try {
			for (;;) {
				while (items.length) {
					yield items.shift();
					if (++taken * 2 < window) continue;
					call.link?.post({method: "$/more", params: {id: call.id, n: taken}});
					taken = 0;
				}
				if (over?.error) throw over.error;
				if (over) return;
				await new Promise((resolve) => (wake = resolve));
			}
		} finally {
			leave.abort();
		}
	}

	on(method, listener) {
		const listeners = this.#listeners.get(method) ?? new Set();
		this.#listeners.set(method, listeners.add(listener));
		return () => listeners.delete(listener);
	}

	close() {
		if (this.#over) return;
		this.#over = true;
		this.#wake?.();
		const close = {code: 1000, reason: ""};
		for (const call of this.#waiting) this.#drop(call, close, false);
		this.#waiting.clear();
		for (const link of this.#links) link.shut(1000);
		this.#end(close);
	}

	// open makes the first connection.
	async open() {
		const {signal} = this.#options;
		signal?.throwIfAborted();
		try {
			await this.#connect(this.#url);
		} finally {
			signal?.throwIfAborted();
		}
		return this;
	}

	id() {
		return ++this.#ids;
	}

	// notified gives a notification to its listeners. Pushes have numbers; a push that has come before is dropped.
	notified(link, method, value, headers, seq) {
		if (seq !== undefined) {
			// A retiring link may go on to push. The live link gets these pushes again, unless it has a new session.
			if (link !== this.#live ? this.#recovered : seq <= this.#session.seq) return;
			if (link === this.#live) this.#session.seq = seq;
		}
		for (const listener of this.#listeners.get(method) ?? []) tell(listener, value, {headers, seq});
	}

	// goaway moves to another connection at a random moment within the time that the server gives.
	goaway(link, {within = 0, url} = {}) {
		if (!this.#backoff || link.leaving) return;
		const again = Date.now() - link.opened < settled;
		link.leaving = setTimeout(() => {
			if (link !== this.#link) return;
			this.#tries = 0;
			this.#connect(leads(this.#url, url) ? url : this.#url, again).catch(() => {});
		}, Math.random() * Math.min(within, longestTimer));
	}

	// ended ends or repeats the calls that were under way on a link. After a close with 1012 no unanswered call has run.
	ended(link, close) {
		this.#links.delete(link);
		if (link === this.#link) {
			this.#link = undefined;
			clearTimeout(this.#renewal);
			if (Date.now() - link.opened > longLived) this.#tries = 0;
			if (!this.#backoff) this.#end(close);
			else if (!this.#over) {
				this.#changed("down", new ClosedError(close, true));
				this.#connect(this.#url, true).catch(() => {});
			}
		}
		const unrun = close.code === restarts;
		for (const call of link.calls.values())
			unrun && !call.own && !this.#over ? this.#send(call) : this.#drop(call, close, !unrun);
	}

	#drop(call, close, sent) {
		if (call.id !== undefined) call.settle(new ClosedError(close, sent));
	}

	#end(close) {
		if (this.#ended) return;
		this.#ended = this.#over = true;
		this.#finish(close);
		this.#changed("closed", new ClosedError(close, true));
	}

	#changed(state, error) {
		tell(this.#options.changed, state, error);
	}

	#start(frame, {signal, timeout}, item) {
		timeout = timeout && Math.min(timeout, longestTimer);
		const id = this.id();
		const call = {id, item, deadline: timeout === undefined ? 0 : Date.now() + timeout};
		call.answer = new Promise((resolve, reject) => {
			call.text = encode({id, ...frame});
			const stop = (reason) => {
				if (!this.#waiting.delete(call)) call.link?.post({method: "$/cancelRequest", params: {id}});
				call.settle(reason);
			};
			const aborted = () => stop(signal.reason);
			const timer = call.deadline && setTimeout(() => stop(new DOMException("the call has timed out", "TimeoutError")), timeout);
			call.settle = (error, value) => {
				call.over = true;
				clearTimeout(timer);
				signal?.removeEventListener("abort", aborted);
				error ? reject(error) : resolve(value);
			};
			if (signal?.aborted) return call.settle(signal.reason);
			signal?.addEventListener("abort", aborted);
			this.#send(call);
		});
		return call;
	}

	#send(call) {
		if (call.over) return;
		if (this.#over) call.settle(new ClosedError({code: 1000, reason: ""}, false));
		else if (this.#link) this.#link.request(call);
		else this.#waiting.add(call);
	}

	// #connect replaces the link. With a backoff it tries until it can.
	async #connect(url, pause) {
		if (this.#dialing) return;
		this.#dialing = true;
		try {
			for (;; url = this.#url) {
				if (pause) await this.#pause();
				try {
					return this.#adopt(await this.#dial(url));
				} catch (error) {
					if (!this.#backoff || this.#over) throw error;
					if (!this.#link) this.#changed("down", error); // else the old link still serves
					pause = true;
				}
			}
		} finally {
			this.#dialing = false;
		}
	}

	// #pause is a backoff with full jitter. It ends early when the browser is online again, or the client is closed.
	async #pause() {
		if (this.#over) return; // a function of the app may have closed it
		const {min, max} = this.#backoff;
		const most = Math.min(max, min * 2 ** this.#tries++, longestTimer);
		let timer;
		await new Promise((resolve) => {
			this.#wake = resolve;
			timer = setTimeout(resolve, Math.random() * most);
			globalThis.addEventListener?.("online", resolve);
		});
		clearTimeout(timer);
		globalThis.removeEventListener?.("online", this.#wake);
	}

	async #dial(url) {
		const token = await credentialOf(this.#options.token);
		const protocols = ["kami.jsonrpc"];
		if (token) protocols.push("kami.auth." + base64url(`${token.scheme} ${token.credential}`));
		if (this.#over) throw new ClosedError({code: 1000, reason: ""}, false);
		const link = new Link(this, new this.#options.WebSocket(addressOf(url), protocols));
		this.#links.add(link);
		await link.open;
		if (this.#backoff) await this.#resume(link);
		else this.#live = link;
		link.expires = token?.expires;
		return link;
	}

	// #resume asks for the earlier session and the missed pushes. They come right after the answer.
	#resume(link) {
		const again = this.#live !== undefined;
		return link
			.ask("kami.resume", {...this.#session}, (error, answer = {}) => {
				if (error && !(error instanceof CallError)) return; // the connection is gone
				this.#live = link;
				this.#recovered = answer.recovered === true;
				if (!this.#recovered) this.#session = {token: answer.token ?? "", seq: answer.seq ?? 0};
				else this.#session.token = answer.token;
				this.#link?.retire(); // calls wait for the new link, those of resumed too
				this.#link = undefined;
				if (again) tell(this.#options.resumed, this.#recovered);
			})
			.catch((error) => {
				if (!(error instanceof CallError)) throw error; // a CallError: the server keeps no sessions
			});
	}

	#adopt(link) {
		if (link.over) throw new ClosedError({code: 1006, reason: ""}, false);
		this.#link = link;
		for (const call of this.#waiting) link.request(call);
		this.#waiting.clear();
		this.#renew(link, link.expires);
		this.#changed("open");
	}

	// #renew shows another credential after nine tenths of the first one's lifetime.
	#renew(link, expires) {
		clearTimeout(this.#renewal);
		if (!expires || typeof this.#options.token !== "function") return;
		const left = (new Date(expires) - Date.now()) * 0.9;
		this.#renewal = setTimeout(async () => {
			try {
				const {scheme, credential, expires} = await credentialOf(this.#options.token);
				await link.ask("kami.auth", {scheme, credential});
				this.#renew(link, expires);
			} catch (error) {
				if (link.over) return;
				console.error(error);
				this.#renew(link, Date.now() + retry);
			}
		}, Math.min(Math.max(left, 1000), longestTimer));
	}
}

// addressOf makes a websocket URL of an HTTP URL, or of a path, which is relative to the page.
function addressOf(url) {
	const address = new URL(url, globalThis.location?.href);
	address.protocol = address.protocol.replace("http", "ws");
	return address;
}

// leads reports whether a server may send its clients from one URL to another. The clients show their credentials there, so it must
// be the same host or one below it, and encrypted if the connection is now.
function leads(from, to) {
	if (!to || !URL.canParse(to, globalThis.location?.href)) return false;
	const now = addressOf(from), next = addressOf(to);
	return (
		(next.hostname === now.hostname || next.hostname.endsWith("." + now.hostname)) &&
		(next.protocol === "wss:" || next.protocol === now.protocol)
	);
}

export const connect = async (url, options = {}) => new Client(url, options).open();
