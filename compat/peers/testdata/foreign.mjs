// What the programs for clients of others share.

// failure is what can be printed of the error with which a promise rejects.
export const failure = (promise) =>
	promise.then(
		(value) => ({value}),
		({message, code, data}) => ({message, code, data}),
	);

// gather returns an array, a function that adds to it, and one that waits until it has so many.
export function gather() {
	const got = [];
	let enough, wake;
	const add = (value) => void (got.push(value) === enough && wake());
	return [got, add, (n) => (got.length >= n ? undefined : new Promise((resolve) => ((enough = n), (wake = resolve))))];
}

// sent returns an array of the frames that a socket sends.
export function sent(socket) {
	const frames = [], send = socket.send;
	socket.send = (text, ...more) => {
		frames.push(JSON.parse(text));
		return send.call(socket, text, ...more);
	};
	return frames;
}
