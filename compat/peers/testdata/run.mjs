// Runs a case of a program, such as kami.mjs, with the address of a server, and prints what the case returns:
//
//	node run.mjs kami calls ws://127.0.0.1:1234/kite [argument]
//
// It does not exit by itself, so that what keeps Node alive is noticed.
const [program, name, ...args] = process.argv.slice(2);
const {cases} = await import(`./${program}.mjs`);
console.log(JSON.stringify(await cases[name](...args)));
