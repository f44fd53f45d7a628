// Side doors: further ports of the provider, each with one fault of its own for good, so that a test can
// send one endpoint through a fault and leave the others alone, and many tests can do so side by side.
//
//   {"port": 8450, "certificate": "server" | "unknown" | "expired" | "elsewhere", "fault": as in faults.mjs}
//   {"port": 8451, "reset": true}     resets a connection at its first byte

import { once } from 'node:events';
import { createServer as createHttps } from 'node:https';
import { createServer as createTcp } from 'node:net';

import { Faults } from './faults.mjs';

export class Doors {
  #arrivals = {};

  /** certificate(name) reads one; serve(request, response, faults) answers. */
  constructor(certificate, serve) {
    this.certificate = certificate;
    this.serve = serve;
  }

  async open({ port, certificate = 'server', reset = false, fault }) {
    const arrivals = this.#arrivals[port] = [];
    const server = reset ? createTcp(resetAtFirstByte) : this.#https(certificate, fault);
    // Where no request gets through, connections tell how often it was tried.
    const visit = reset || certificate !== 'server' ? 'connection' : 'request';
    server.on(visit, ({ headers }) => {
      arrivals.push({ at_ms: Math.round(performance.now()), agent: headers?.['user-agent'] });
    });
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return {};
  }

  /** {port: [{"at_ms": …, "agent": …} of each request or connection]}. */
  arrivals() {
    return this.#arrivals;
  }

  #https(certificate, fault) {
    const faults = new Faults(() => {});
    if (fault) faults.add(fault);
    const serve = (request, response) => this.serve(request, response, faults);
    return createHttps(this.certificate(certificate), serve);
  }
}

function resetAtFirstByte(socket) {
  socket.on('error', () => {});
  socket.once('data', () => socket.resetAndDestroy());
}
