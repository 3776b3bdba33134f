import {connect} from "./kami.js";

const $ = (id) => document.getElementById(id);
const hello = $("hello"), say = $("say");

// The key shows, after a reload too, that the name is this tab's own.
const key = (sessionStorage["chat-key"] ||= random());
let me, room; // "" and undefined while nobody is in a room
let to = ""; // a name: the next line is private
let last = 0; // number of the newest line that is shown

const client = await connect("chat", {
	changed: (state) => ($("state").textContent = {open: "connected", down: "connecting…", closed: "disconnected"}[state]),
	resumed: (recovered) => !recovered && room && enter(), // else all that was missed follows
});
$("state").textContent = "connected";
client.on("room.line", show);
client.on("room.members", ({room: of, names}) => of === room && there(names));
client.on("room.kicked", ({by}) => leave(`${by} has kicked you.`));
// For tests: what the page has shown.
window.chat = client;

hello.name.value = sessionStorage["chat-name"] ?? "";
hello.onsubmit = async (event) => {
	event.preventDefault();
	me = hello.elements.name.value.trim();
	room = hello.elements.room.value.trim();
	await enter();
};

// enter says who this is, and joins the room; both again if the server knows nothing of the session any more.
async function enter() {
	try {
		await client.call("room.hello", {name: me, key});
		const {names, lines} = await client.call("room.join", {room, after: last});
		sessionStorage["chat-name"] = me;
		$("title").textContent = room;
		hello.hidden = !($("room").hidden = false);
		$("refused").textContent = "";
		lines.forEach(show);
		there(names);
		say.elements.text.focus();
	} catch (error) {
		leave(error.message);
	}
}

function leave(why = "") {
	room = undefined;
	last = 0;
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
		await client.call("room.say", {to, text});
		$("failed").textContent = "";
	} catch (error) {
		$("failed").textContent = `Not sent: ${error.message}`;
		input.value ||= text;
	}
};

say.onkeydown = (event) => {
	if (event.key === "Escape") address("");
};

function address(name) {
	to = name;
	$("to").textContent = name || "all";
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
	const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
	list.append(li);
	if (atEnd) list.scrollTop = list.scrollHeight;
}

function there(names) {
	$("members").replaceChildren(...names.map((name, i) => member(name, names[0] === me && i > 0)));
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
