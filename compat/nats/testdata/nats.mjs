// Sees and calls the servers of a cluster by the client of NATS, and prints what that says.
import {connect, ServiceError} from "nats";

const nc = await connect({servers: process.argv[2]});
const services = nc.services.client({strategy: "jitterTimer", maxWait: 5000});

async function all(answers) {
	const list = [];
	for await (const one of await answers) list.push(one);
	return list.sort((a, b) => a.id.localeCompare(b.id));
}

async function ask(subject, body) {
	const answer = await nc.request(subject, JSON.stringify(body), {timeout: 20000});
	return ServiceError.isServiceError(answer) ? ServiceError.toServiceError(answer) : answer.json();
}

const failed = ({code, message}) => ({code, message});
const got = {
	answer: await ask("kami.r.room.match.find", {level: 3}),
	error: failed(await ask("kami.r.room.match.find", {})),
	missing: failed(await ask("kami.r.room.nothing", {})),
	nobody: await ask("kami.r.hall.nothing", {}).catch((error) => error.code),
	ping: (await all(services.ping("room"))).map(({name, id, version, metadata: {region}}) => ({name, id, version, region})),
	info: (await all(services.info("room"))).map(({id, endpoints}) => ({id, endpoints: endpoints.map(({subject}) => subject)})),
	one: (await all(services.info("room", "a"))).map(({id}) => id),
	stats: {requests: 0, errors: 0},
};
for (const {endpoints} of await all(services.stats("room"))) {
	for (const {num_requests, num_errors} of endpoints) {
		got.stats.requests += num_requests;
		got.stats.errors += num_errors;
	}
}
console.log(JSON.stringify(got));
await nc.close();
