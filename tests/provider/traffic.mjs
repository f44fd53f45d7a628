// What reached the provider since the last reset. Bodies and query strings are left out: they hold codes.

const now = () => Math.round(performance.timeOrigin + performance.now());

// /interaction/… and /device/… with the library's 21 random characters.
const INTERACTION_ID = /^\/(interaction|device)\/[\w-]{21}$/;

export class Traffic {
  #numbers = new WeakMap();

  #lastNumber = 0;

  constructor() {
    this.reset();
  }

  reset() {
    this.tcpConnections = 0;
    this.tlsHandshakes = 0;
    this.tlsFailures = 0;
    this.requests = {};
    this.log = [];
  }

  /** Notes a request now and its status when the answer is complete (null: never answered). */
  record(request, response) {
    const { method, headers: { 'user-agent': agent = '' } } = request;
    const path = pathOf(request).replace(INTERACTION_ID, '/$1/ID');
    this.requests[path] = (this.requests[path] ?? 0) + 1;
    // agent and connection tell what the machine sent from what the browser did, and how often it dialled.
    const line = { at_ms: now(), connection: this.#numberOf(request.socket), agent, method, path, status: null };
    this.log.push(line);
    response.on('finish', () => { line.status = response.statusCode; });
  }

  #numberOf(socket) {
    if (!this.#numbers.has(socket)) this.#numbers.set(socket, this.#lastNumber += 1);
    return this.#numbers.get(socket);
  }

  counters() {
    return {
      tcp_connections: this.tcpConnections,
      tls_handshakes: this.tlsHandshakes,
      tls_failures: this.tlsFailures,
      requests: this.requests,
    };
  }
}

export function pathOf(request) {
  return request.url.split('?', 1)[0];
}
