// Ways in which a provider can misbehave. A fault is one of
//
//   {"path": REGEXP, "status": 503, "body": any JSON or string, "headers": {…}}   answers this instead
//   {"hang": REGEXP}         reads the request and never answers
//   {"drop": REGEXP}         closes the connection without an answer
//   {"drip": REGEXP}         answers 200 and then one byte every 100 ms, without an end
//   {"change": REGEXP, …}    the provider's own answer, changed: "set": {MEMBER: JSON text or null for none},
//                            "headers": {…}, "pad": bytes of blank at the end, "cut": bytes off the end
//   {"slow_down": N}         N times "slow_down" at the token endpoint (RFC 8628 §3.5)
//   {"unknown_ca": true}     new connections see a certificate of an authority nobody trusts
//   {"stall_tls": true}      new connections are accepted and never get a TLS handshake
//
// "echo": true, beside path and status, repeats the request's own body at the end of the answer.
// "count": N limits all but the switches to N requests; without it they last until cleared. The first fault
// that matches a request is the one that happens. The last two are switches: false turns them off.

import { text as textOf } from 'node:stream/consumers';

import { pathOf } from './traffic.mjs';

const DRIP_MS = 100;

const SWITCHES = ['unknown_ca', 'stall_tls'];

export class Faults {
  #planned = [];

  #hanging = new Set();

  constructor(onSwitch) {
    this.onSwitch = onSwitch;
    this.switches = { unknown_ca: false, stall_tls: false };
  }

  /** Adds a fault, or throws an Error that says what is wrong with it. */
  add(fault) {
    const name = SWITCHES.find((key) => key in fault);
    if (name) this.#turn(name, Boolean(fault[name]));
    else this.#planned.push(parse(fault));
  }

  list() {
    return { ...this.switches, planned: this.#planned.map(({ fault, left }) => ({ ...fault, left })) };
  }

  clear() {
    this.#planned = [];
    SWITCHES.forEach((name) => this.#turn(name, false));
    // A client still waiting sees its connection end instead of waiting for its own timeout.
    this.#hanging.forEach((request) => request.socket.destroy());
  }

  /** Misbehaves if a fault says so; false means that the request deserves a proper answer. */
  strike(request, response) {
    const planned = this.#planned.find(({ pattern, left }) => left > 0 && pattern.test(pathOf(request)));
    if (!planned) return false;
    planned.left -= 1;
    if (planned.kind === 'change') {
      change(response, planned.fault);
      return false;
    }
    if (planned.kind === 'drop') request.socket.destroy();
    else if (planned.kind === 'hang') this.#hang(request);
    else if (planned.kind === 'drip') drip(request, response);
    else answer(request, response, planned.fault);
    return true;
  }

  #hang(request) {
    request.resume();
    this.#hanging.add(request);
    request.socket.on('close', () => this.#hanging.delete(request));
  }

  #turn(name, on) {
    if (this.switches[name] === on) return;
    this.switches[name] = on;
    this.onSwitch(name, on);
  }
}

function parse(fault) {
  if ('slow_down' in fault) {
    return plan('answer', '^/token$', { status: 400, body: { error: 'slow_down' }, count: fault.slow_down });
  }
  const kind = ['hang', 'drop', 'drip', 'change'].find((key) => key in fault);
  if (kind) return plan(kind, fault[kind], fault);
  if (!fault.path || !fault.status) throw new Error('a fault needs path and status, or hang, drop, drip, change, slow_down');
  return plan('answer', fault.path, fault);
}

function plan(kind, path, fault) {
  // Infinity is no JSON number: list() shows it as null.
  return { kind, pattern: new RegExp(path), fault, left: fault.count ?? Infinity };
}

async function answer(request, response, fault) {
  const { status, body = { error: 'temporarily_unavailable' }, headers = {}, echo = false } = fault;
  const asked = await textOf(request).catch(() => '');
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers });
  response.end(echo ? text + asked : text);
}

function drip(request, response) {
  request.resume();
  response.writeHead(200, { 'content-type': 'application/json' });
  // Blanks before the object: as far as it has come, the answer is right.
  const timer = setInterval(() => response.write(' '), DRIP_MS);
  response.on('close', () => clearInterval(timer));
}

/** What the provider hands over as the whole body goes out changed. */
function change(response, { set = {}, headers = {}, pad = 0, cut = 0 }) {
  const end = response.end.bind(response);
  const setAll = (all) => Object.entries(all).forEach(([name, value]) => response.setHeader(name, value));
  // The head has to wait for the body, whose length it tells.
  response.writeHead = (status, given = {}) => {
    response.statusCode = status;
    setAll(given);
    return response;
  };
  response.end = (body = '') => {
    const whole = Buffer.from(withMembers(String(body), set) + ' '.repeat(pad));
    const sent = whole.subarray(0, whole.length - cut);
    delete response.writeHead;
    setAll({ ...headers, 'content-length': sent.length });
    return end(sent);
  };
}

// Values are JSON text because some numbers, 1e400 among them, are none to JavaScript.
function withMembers(text, set) {
  if (Object.keys(set).length === 0) return text;
  const object = JSON.parse(text);
  Object.keys(set).forEach((name) => delete object[name]);
  const added = Object.entries(set).filter(([, value]) => value !== null);
  const members = [...Object.entries(object).map(([name, value]) => [name, JSON.stringify(value)]), ...added];
  return `{${members.map(([name, value]) => `${JSON.stringify(name)}:${value}`).join(',')}}`;
}
