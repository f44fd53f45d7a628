// The TLS end of the provider: counts what arrives, lets faults strike, passes the rest on.

import { readFileSync } from 'node:fs';
import { createServer as createHttps } from 'node:https';
import { createServer as createTcp } from 'node:net';
import { join } from 'node:path';

import { Doors } from './doors.mjs';
import { Faults } from './faults.mjs';
import { Secrets } from './secrets.mjs';

export class Front {
  #stalled = new Set();

  constructor(state, traffic) {
    this.certificates = { false: certificate(state, 'server'), true: certificate(state, 'unknown') };
    this.handler = (_request, response) => response.writeHead(503).end(); // until serve()
    this.traffic = traffic;
    this.faults = new Faults((name, on) => this.#switch(name, on));
    this.secrets = new Secrets();
    this.doors = new Doors((name) => certificate(state, name), (...exchange) => this.#serve(...exchange));
    this.https = createHttps(this.certificates.false, (request, response) => this.#serve(request, response));
    this.https.on('secureConnection', () => { traffic.tlsHandshakes += 1; });
    this.https.on('tlsClientError', () => { traffic.tlsFailures += 1; });
    // A TCP server of our own stands before TLS, because a stalled handshake is one that never starts.
    this.tcp = createTcp((socket) => this.#accept(socket));
  }

  /** Answers requests with a (request, response) function from now on. */
  serve(handler) {
    this.handler = handler;
  }

  #accept(socket) {
    this.traffic.tcpConnections += 1;
    if (!this.faults.switches.stall_tls) {
      this.https.emit('connection', socket);
      return;
    }
    this.#stalled.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => this.#stalled.delete(socket));
    socket.resume();
  }

  #serve(request, response, faults = this.faults) {
    this.traffic.record(request, response);
    if (faults.strike(request, response)) return;
    this.secrets.watch(response);
    this.handler(request, response);
  }

  #switch(name, on) {
    if (name === 'unknown_ca') this.https.setSecureContext(this.certificates[on]);
    if (name === 'stall_tls' && !on) this.#stalled.forEach((socket) => socket.destroy());
    // A kept connection would not notice the change.
    this.https.closeIdleConnections();
  }
}

function certificate(state, name) {
  return {
    cert: readFileSync(join(state, `${name}.pem`)),
    key: readFileSync(join(state, `${name}.key`)),
  };
}
