// Signing keys and the key sets that publish them.
//
// Entra's sets hold several keys; `issuer` says for which tenants a key may sign. The one that signs is
// never the first, and "consumer" signs for the tenant of personal accounts alone.

import { execFileSync } from 'node:child_process';
import { X509Certificate, createHash, createPrivateKey, sign } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { CONSUMERS } from './directory.mjs';

const NAMES = ['next', 'current', 'consumer', 'unpublished'];

export class SigningKeys {
  #base;

  #keys;

  constructor(state, base) {
    this.#base = base;
    this.#keys = new Map(NAMES.map((name) => [name, load(state, name)]));
  }

  /** The key set at a tenant's address; the addresses of many tenants leave the tenant open. */
  published({ id, isMany }) {
    const tenant = isMany ? '{tenantid}' : id;
    return { keys: NAMES.slice(0, 3).map((name) => this.#entry(name, name === 'consumer' ? CONSUMERS : tenant)) };
  }

  /** A JWT in compact form, signed with RS256. */
  jwt(claims, name = 'current') {
    const { kid, privateKey } = this.#keys.get(name);
    const signed = [{ typ: 'JWT', alg: 'RS256', kid }, claims].map(encode).join('.');
    return `${signed}.${sign('RSA-SHA256', Buffer.from(signed), privateKey).toString('base64url')}`;
  }

  #entry(name, tenant) {
    const { kid, modulus, exponent, certificate } = this.#keys.get(name);
    return {
      kty: 'RSA',
      use: 'sig',
      kid,
      x5t: kid,
      n: modulus,
      e: exponent,
      x5c: [certificate],
      cloud_instance_name: 'idp.test',
      issuer: `${this.#base}/${tenant}/v2.0`,
    };
  }
}

function load(state, name) {
  const [keyFile, certificateFile] = ['key', 'pem'].map((ending) => join(state, `signing-${name}.${ending}`));
  if (!existsSync(certificateFile)) make(keyFile, certificateFile);
  const privateKey = createPrivateKey(readFileSync(keyFile));
  const { n: modulus, e: exponent } = privateKey.export({ format: 'jwk' });
  const { raw } = new X509Certificate(readFileSync(certificateFile));
  const kid = createHash('sha1').update(raw).digest('base64url');
  return { kid, privateKey, modulus, exponent, certificate: raw.toString('base64') };
}

function make(keyFile, certificateFile) {
  execFileSync('openssl', [
    'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '30', '-subj', '/CN=signing.idp.test',
    '-keyout', keyFile, '-out', certificateFile,
  ], { stdio: ['ignore', 'ignore', 'ignore'] });
}

function encode(value) {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
