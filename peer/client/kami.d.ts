/** A client of a kami peer: JSON-RPC 2.0 over a websocket. Both ends call and are called. */

/**
 * connect resolves when the connection is there. It tries until it is, unless `reconnect` is false: then it rejects with a
 * ClosedError. It rejects with the reason of `signal` when `signal` is aborted.
 */
export function connect(url: string | URL, options?: Options): Promise<Client>;

export interface Options {
	/** Credential for each connection: a bearer token, "scheme credential", or a function that each connection calls. */
	token?: Token | (() => Token | undefined | Promise<Token | undefined>);
	/** Functions that the server may call: own properties, by method. They start in the order of the calls. A CallError is an answer. */
	handlers?: Record<string, (value: any, call: {headers?: Record<string, string>; signal: AbortSignal}) => unknown>;
	/** Milliseconds of the backoff, which doubles from min (250) to max (30,000) with full jitter. false: no new connection is made. */
	reconnect?: false | {min?: number; max?: number};
	/** Closes the client for good. */
	signal?: AbortSignal;
	/** Called at each connection except the first, before its pushes. false: the session is new, and pushes may have been missed. */
	resumed?: (recovered: boolean) => void;
	/** Called when there is a connection, when it is lost or could not be made, and when the client is closed. */
	changed?: (state: "open" | "down" | "closed", error?: Error) => void;
	/** WebSocket for a runtime without one, such as Node before version 22. */
	WebSocket?: new (url: URL, protocols: string[]) => WebSocket;
}

/** With `expires`, in milliseconds or as a Date, the client calls the function again before that time. */
export type Token = string | {scheme: string; credential: string; expires?: number | Date};

export interface CallOptions {
	/** Cancels the call. The server is told, and the promise rejects with the signal's reason. */
	signal?: AbortSignal;
	/** Milliseconds until the call is canceled with a DOMException named TimeoutError. The server is told. */
	timeout?: number;
	headers?: Record<string, string>;
}

export interface Client {
	/**
	 * call resolves with the answer. It waits for a connection. It rejects with a CallError, or with a ClosedError if the
	 * connection is lost before the answer. It rejects with a TypeError if JSON cannot hold the value.
	 */
	call<T = any>(method: string, value?: unknown, options?: CallOptions): Promise<T>;
	/** notify is a call without an answer. It throws a ClosedError if the client is closed. */
	notify(method: string, value?: unknown, options?: Pick<CallOptions, "headers">): void;
	/** stream returns the items of an answer that streams. At most window (64) are under way. Leaving the loop cancels the call. */
	stream<T = any>(
		method: string,
		value?: unknown,
		options?: {window?: number; signal?: AbortSignal; headers?: Record<string, string>},
	): AsyncGenerator<T, void, void>;
	/** on calls the function for each notification. It returns a function that ends this. */
	on(method: string, listener: (value: any, push: {headers?: Record<string, string>; seq?: number}) => void): () => void;
	/** close closes the connection for good. */
	close(): void;
	/** Resolves when the client is closed for good. */
	readonly closed: Promise<{code: number; reason: string}>;
}

/** An error that the server has answered with. Its code is an HTTP status. */
export class CallError extends Error {
	constructor(code: number, message: string, data?: unknown);
	readonly code: number;
	readonly data?: any;
}

/** The connection has ended. A call that was not sent can be repeated; a call that was sent may have run. */
export class ClosedError extends Error {
	readonly close: {code: number; reason: string};
	readonly sent: boolean;
}
