// What reached the provider since the last reset. Bodies and query strings are left out: they hold codes.

const now = () => Math.round(performance.timeOrigin + performance.now());

export class Traffic {
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
    const path = pathOf(request);
    this.requests[path] = (this.requests[path] ?? 0) + 1;
    const line = { at_ms: now(), method: request.method, path, status: null };
    this.log.push(line);
    response.on('finish', () => { line.status = response.statusCode; });
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
