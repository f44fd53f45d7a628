// How tests steer and watch the provider: JSON over plain HTTP on a port of its own.
//
//   GET /counters   GET /log   GET /faults   POST /faults (one fault, or a list)   DELETE /faults
//   POST /reset     counters, log and faults
//   POST /doors (as in doors.mjs)   GET /doors   GET /secrets (codes and tokens handed out so far)

import { createServer } from 'node:http';

export function controlServer(traffic, { faults, doors, secrets }) {
  const routes = {
    'GET /counters': () => traffic.counters(),
    'GET /log': () => traffic.log,
    'GET /faults': () => faults.list(),
    'POST /faults': (body) => { [body].flat().forEach((fault) => faults.add(fault)); return faults.list(); },
    'DELETE /faults': () => { faults.clear(); return faults.list(); },
    'POST /reset': () => { faults.clear(); traffic.reset(); return {}; },
    'POST /doors': (body) => doors.open(body),
    'GET /doors': () => doors.arrivals(),
    'GET /secrets': () => secrets.given,
  };
  return createServer((request, response) => answer(routes, request, response));
}

async function answer(routes, request, response) {
  const route = routes[`${request.method} ${request.url}`];
  if (!route) return send(response, 404, { error: `no ${request.method} ${request.url}` });
  try {
    const text = await readText(request);
    return send(response, 200, await route(text ? JSON.parse(text) : undefined));
  } catch (error) {
    return send(response, 400, { error: error.message });
  }
}

async function readText(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

function send(response, status, body) {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}
