#!/usr/bin/env node
// A test identity provider shaped like Microsoft Entra ID: the v2.0 endpoints of its login service and
// the piece of Microsoft Graph that tells groups, both at one origin. Options as for ../provider.mjs.

import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { Front } from '../front.mjs';
import { Directory } from './directory.mjs';
import { Grants } from './grants.mjs';
import { Journal, journalControl } from './journal.mjs';
import { SigningKeys } from './keys.mjs';
import { router } from './router.mjs';
import { Settings } from './settings.mjs';

const OPTIONS = {
  state: { type: 'string' },
  host: { type: 'string', default: 'idp.test' },
  listen: { type: 'string', default: '127.0.0.1:8443' },
  control: { type: 'string', default: '127.0.0.1:8444' },
  interval: { type: 'string', default: '5' },
  'device-ttl': { type: 'string', default: '900' },
  'exit-with-stdin': { type: 'boolean', default: false },
};

await main(parseArgs({ options: OPTIONS }).values);

async function main(options) {
  const { state, host } = options;
  if (!state) throw new Error('--state DIR is missing');
  makeCertificates(state, host);
  const journal = new Journal();
  const front = new Front(state, journal);
  const { port } = await listen(front.tcp, options.listen);
  const base = `https://${host}:${port}`;
  front.serve(router({
    base,
    journal,
    settings: new Settings(join(state, 'settings.json')),
    directory: new Directory(join(state, 'accounts.json')),
    keys: new SigningKeys(state, base),
    grants: new Grants({ interval: seconds(options.interval), ttl: seconds(options['device-ttl']) }),
  }));
  const control = await listen(journalControl(journal, front), options.control);
  const urls = { issuer: base, control: `http://${control.address}:${control.port}` };
  writeFileSync(join(state, 'urls.json'), JSON.stringify(urls));
  if (options['exit-with-stdin']) process.stdin.on('end', () => process.exit(0)).resume();
  process.stdout.write('ready\n');
}

function makeCertificates(state, host) {
  if (existsSync(join(state, 'ca.pem'))) return;
  const script = fileURLToPath(new URL('../make-certs.sh', import.meta.url));
  execFileSync(script, [state, host], { stdio: ['ignore', 'ignore', 'inherit'] });
}

// Anybody can sign in here with any password: never beyond loopback.
async function listen(server, address) {
  const [, host, port] = /^(127(?:\.\d+){3}):(\d+)$/.exec(address) ?? [];
  if (!host) throw new Error(`${address} is not 127.x.x.x:PORT`);
  server.listen(Number(port), host);
  await once(server, 'listening');
  return server.address();
}

function seconds(text) {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new Error(`${text} is no positive number of seconds`);
  return value;
}
