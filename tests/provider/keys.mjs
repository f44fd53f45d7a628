// The provider's signing key, and the keys of an attacker. All but the first are made when they are needed.

import { execFileSync } from 'node:child_process';
import {
  X509Certificate, createPrivateKey, createPublicKey, createSecretKey, generateKeyPairSync, randomBytes,
} from 'node:crypto';

/** The `kid` of the key that the provider really signs with. */
export const SIGNING = 'signing';

const rsa = (modulusLength) => generateKeyPairSync('rsa', { modulusLength });
const ec = (namedCurve) => generateKeyPairSync('ec', { namedCurve });
const secret = (bytes) => ({ privateKey: createSecretKey(bytes) });
const published = (type, format) => keyPair(SIGNING).publicKey.export({ type, format });

const MAKERS = {
  [SIGNING]: () => rsa(2048),
  other: () => rsa(2048),
  small: () => rsa(1024),
  p256: () => ec('P-256'),
  p384: () => ec('P-384'),
  ed25519: () => generateKeyPairSync('ed25519'),
  attacker: attackersPair,
  oct: () => secret(randomBytes(64)),
  // What everybody can read, taken for a shared secret.
  'public-pem': () => secret(Buffer.from(published('spki', 'pem'))),
  'public-der': () => secret(published('spki', 'der')),
};

const made = new Map();

/** {privateKey, publicKey, certificate}; a symmetric key has the first only, and just the attacker the last. */
export function keyPair(name) {
  if (!Object.hasOwn(MAKERS, name)) throw new Error(`no key ${name}; there are ${Object.keys(MAKERS).join(', ')}`);
  if (!made.has(name)) made.set(name, MAKERS[name]());
  return made.get(name);
}

/** As a key set shows it. A symmetric key shows itself: a mistake that no verifier may profit from. */
export function jwkOf(name) {
  const { publicKey, privateKey } = keyPair(name);
  return { ...(publicKey ?? privateKey).export({ format: 'jwk' }), kid: name, use: 'sig' };
}

export function signingJwk() {
  return { ...keyPair(SIGNING).privateKey.export({ format: 'jwk' }), kid: SIGNING, use: 'sig', alg: 'RS256' };
}

// Node.js reads certificates and makes none.
function attackersPair() {
  const command = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=attacker', '-keyout', '-', '-out', '-'];
  const text = execFileSync('openssl', command, { stdio: ['ignore', 'pipe', 'ignore'], encoding: 'utf8' });
  const privateKey = createPrivateKey(text);
  const certificate = new X509Certificate(text.slice(text.indexOf('-----BEGIN CERTIFICATE')));
  return { privateKey, publicKey: createPublicKey(privateKey), certificate };
}
