import {ClosedError, connect} from "./kami.js";

const $ = (id) => document.getElementById(id);
const hello = $("hello"), say = $("say");

// The key shows, after a reload too, that the name is this tab's own.
const key = (sessionStorage["chat-key"] ||= random());
let me, room; // "" and undefined while nobody is in a room
let to = ""; // a name: the next line is private
let last = 0; // number of the newest line that is shown
let entered; // a promise: the server knows who this is, and the room
let entries = 0; // how often it was told
let early; // lines that were told while this enters: those before them come with the answer
let sent = Promise.resolve(); // a promise: the server has the line before

const client = await connect("chat", {
	changed(state, error) {
		$("state").textContent = {open: "connected", down: "connecting…", closed: "disconnected"}[state];
		if (state !== "down" || error.close?.code !== 1008) return;
		client.close(); // or two tabs with the same key would put each other out again and again
		$("state").textContent = `disconnected: ${error.close.reason}`;
	},
	resumed: (recovered) => !recovered && room && (entered = enter()), // else all that was missed follows
});
$("state").textContent = "connected";
document.querySelectorAll("form button").forEach((b) => (b.disabled = false));
client.on("room.line", (line) => (early ? early.push(line) : show(line)));
client.on("room.members", ({room: of, names}) => of === room && there(names));
client.on("room.kicked", ({by}) => leave(`${by} has kicked you.`));

hello.name.value = sessionStorage["chat-name"] ?? "";
hello.onsubmit = async (event) => {
	event.preventDefault();
	me = hello.elements.name.value.trim();
	room = hello.elements.room.value.trim();
	await (entered = enter());
};

// enter says who this is, and joins the room; both again if the server knows nothing of the session any more.
async function enter() {
	const entry = ++entries;
	early = [];
	try {
		await persist("room.hello", {name: me, key});
		const {names, lines} = await persist("room.join", {room, after: last});
		if (entry !== entries) return; // the server was replaced in the midst of it, and is told again
		sessionStorage["chat-name"] = me;
		document.title = `${me} in ${room}`;
		$("title").textContent = room;
		hello.hidden = !($("room").hidden = false);
		$("refused").textContent = "";
		[...lines, ...early].forEach(show);
		early = undefined;
		there(names);
		say.elements.text.focus();
	} catch (error) {
		if (entry === entries) leave(error.message);
	}
}

function leave(why = "") {
	room = early = undefined;
	last = 0;
	address("");
	document.title = "Chat";
	$("lines").replaceChildren();
	hello.hidden = !($("room").hidden = true);
	$("refused").textContent = why;
	hello.elements.name.focus();
}

$("leave").onclick = async () => {
	await client.call("room.leave").catch(() => {});
	leave();
};

say.onsubmit = async (event) => {
	event.preventDefault();
	const input = say.elements.text, text = input.value.trim();
	if (!text) return;
	input.value = "";
	try {
		const line = {to, text, mark: random()};
		await (sent = sent.catch(() => {}).then(() => send(line)));
		$("failed").textContent = "";
	} catch (error) {
		$("failed").textContent = `Not sent: ${error.message}`;
		input.value ||= text;
	}
};

// persist makes a call until it is answered. One whose connection was lost may have run, so it must be one that may run twice.
async function persist(method, value) {
	for (;;) {
		try {
			return await client.call(method, value);
		} catch (error) {
			if (!(error instanceof ClosedError) || !room) throw error;
		}
	}
}

// send sends a line. A server that has been replaced knows nothing of this tab until it has entered again.
async function send(line) {
	const before = entered;
	await before;
	try {
		await persist("room.say", line);
	} catch (error) {
		if (error.code !== 401 && error.code !== 409 || entered === before) throw error;
		await send(line);
	}
}

say.onkeydown = (event) => {
	if (event.key === "Escape") address("");
};
$("everyone").onclick = () => address("");

// address says who gets the next line: "" is all.
function address(name) {
	to = name;
	$("to").textContent = name || "all";
	$("everyone").hidden = !name;
	say.elements.text.ariaLabel = `Message to ${name || "all"}`;
	say.elements.text.focus();
}

// show appends a line. Lines come in order, some of them twice after a new connection.
function show({id, from, to, text, at}) {
	if (id <= last) return;
	last = id;
	const li = document.createElement("li"), list = $("lines");
	const time = element("time", new Date(at).toLocaleTimeString([], {hour: "2-digit", minute: "2-digit"}));
	li.append(time, " ", element("b", from), to ? ` to ${to}: ` : ": ", element("span", text));
	if (to) li.className = "private";
	list.append(li);
	follow();
}

// Whoever has scrolled up stays there when lines come, or the window changes.
let atEnd = true;
const follow = () => atEnd && ($("lines").scrollTop = $("lines").scrollHeight);
$("lines").onscroll = ({target: t}) => (atEnd = t.scrollHeight - t.scrollTop - t.clientHeight < 40);
new ResizeObserver(follow).observe($("lines"));

// there shows who is here. The focus stays on the button that has it, or goes on to the line to be written.
function there(names) {
	const list = $("members"), focus = list.contains(document.activeElement) && document.activeElement.ariaLabel;
	list.replaceChildren(...names.map((name, i) => member(name, names[0] === me && i > 0)));
	if (focus) ([...list.querySelectorAll("button")].find((b) => b.ariaLabel === focus) ?? say.elements.text).focus();
}

// member shows a name. Who has been here the longest may kick.
function member(name, kickable) {
	const li = document.createElement("li");
	if (name === me) li.append(element("span", `${name} (you)`));
	else li.append(button(name, `Write to ${name} alone`, () => address(name)));
	if (kickable) li.append(button("kick", `Kick ${name}`, () => client.call("room.kick", {name}).catch((e) => ($("failed").textContent = e.message))));
	return li;
}

function button(text, label, onclick) {
	const b = element("button", text);
	return Object.assign(b, {type: "button", ariaLabel: label, onclick});
}

// random works on pages without TLS too, which crypto.randomUUID does not.
function random() {
	return [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");
}

function element(kind, text) {
	return Object.assign(document.createElement(kind), {textContent: text});
}
