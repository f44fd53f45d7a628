#!/usr/bin/env node
// The identity provider of the end-to-end tests; README.md here has the commands.

import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { Accounts } from './accounts.mjs';
import { controlServer } from './control.mjs';
import { Forge } from './forge.mjs';
import { Front } from './front.mjs';
import { openidProvider } from './openid.mjs';
import { Traffic } from './traffic.mjs';

const OPTIONS = {
  state: { type: 'string' },
  host: { type: 'string', default: 'idp.test' },
  listen: { type: 'string', default: '127.0.0.1:8443' },
  control: { type: 'string', default: '127.0.0.1:8444' },
  interval: { type: 'string', default: '5' },
  'device-ttl': { type: 'string', default: '600' },
  'exit-with-stdin': { type: 'boolean', default: false },
};

// Standard output carries the ready line alone; the library's notices belong with the errors.
console.info = console.error;
await main(parseArgs({ options: OPTIONS }).values);

async function main(options) {
  if (!options.state) throw new Error('--state DIR is missing');
  makeCertificates(options.state, options.host);
  const traffic = new Traffic();
  const front = new Front(options.state, traffic);
  // Listening comes first, because with port 0 the issuer is known only then.
  const { port } = await listen(front.tcp, options.listen);
  const issuer = `https://${options.host}:${port}`;
  const forge = new Forge(join(options.state, 'forge.json'));
  const provider = openidProvider(issuer, new Accounts(join(options.state, 'accounts.json')), forge, {
    interval: seconds(options, 'interval'),
    deviceTtl: seconds(options, 'device-ttl'),
  });
  front.serve(provider.callback());
  const control = await listen(controlServer(traffic, front), options.control);
  const urls = { issuer, control: `http://${control.address}:${control.port}` };
  writeFileSync(join(options.state, 'urls.json'), JSON.stringify(urls));
  if (options['exit-with-stdin']) process.stdin.on('end', () => process.exit(0)).resume();
  process.stdout.write('ready\n');
}

function makeCertificates(state, host) {
  if (existsSync(join(state, 'ca.pem'))) return;
  const script = fileURLToPath(new URL('make-certs.sh', import.meta.url));
  execFileSync(script, [state, host], { stdio: ['ignore', 'ignore', 'inherit'] });
}

// This provider signs anybody in: it must never be reachable from outside.
async function listen(server, address) {
  const [, host, port] = /^(127(?:\.\d+){3}):(\d+)$/.exec(address) ?? [];
  if (!host) throw new Error(`${address} is not 127.x.x.x:PORT`);
  server.listen(Number(port), host);
  await once(server, 'listening');
  return server.address();
}

function seconds(options, name) {
  const value = Number(options[name]);
  if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} must be a positive number of seconds`);
  return value;
}
