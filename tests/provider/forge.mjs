// Changes what the real provider answers, as an attacker would who sits between it and the machine, or at its desk.
// The plan is forge.json of the state directory, read anew each time so that a test can edit it; without one, or
// with {}, all is genuine. It holds any of
//
//   "name"           of the test: a plan with another text is a new one, for which key sets are counted anew
//   "id_token"       {"header": EDIT, "payload": EDIT, "key": NAME, "signature": HOW, "lures": […]}
//                    signs the real token anew, with the key (default: the provider's own) and the alg of the edited
//                    header. HOW is "none" (empty), "changed" (one byte), "short" (half) or "kept" (the real one over
//                    changed contents). A lure is a header member that leads to the attacker's key: jku x5u jwk x5c
//   "token_answer"   EDIT of the token endpoint's success;  "swap": true puts the access token where the id_token was
//   "keys"           the whole key set, in order: [{"key": NAME, and what its JWK says otherwise; null removes}]
//   "keys_later"     the same from the second request on
//   "introspection", "userinfo"   EDIT of the real answer
//
// EDIT is {"set": {…}, "without": [names], "times": {name: seconds from now}, "raw": [[name, JSON text]],
// "text": the whole}. `raw` members come last, so they can repeat a name or hold what no serialiser writes.
// The addresses of jku and x5u answer, so that a client that follows them is taken in.

import { constants, createHmac, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';

import { SIGNING, jwkOf, keyPair } from './keys.mjs';

const PLAN = ['name', 'id_token', 'token_answer', 'swap', 'keys', 'keys_later', 'introspection', 'userinfo'];
const EDIT = ['set', 'without', 'times', 'raw', 'text'];
const ATTACKERS_KEYS = '/attacker/keys';
const ATTACKERS_CHAIN = '/attacker/chain';

export class Forge {
  #file;

  #text;

  #keySetsGiven = 0;

  constructor(file) {
    this.#file = file;
  }

  /** A koa middleware around the provider's own answers. */
  middleware() {
    return async (ctx, next) => {
      if (ctx.path === ATTACKERS_KEYS) ctx.body = { keys: [jwkOf('attacker')] };
      else if (ctx.path === ATTACKERS_CHAIN) ctx.body = keyPair('attacker').certificate.toString();
      else {
        await next();
        if (ctx.status === 200) this.#forge(ctx);
      }
    };
  }

  #forge(ctx) {
    try {
      const plan = this.#plan();
      if (ctx.path === '/token' && ctx.body.id_token) ctx.body = tokenAnswer(ctx.body, plan, ctx.origin);
      if (ctx.path === '/jwks') ctx.body = this.#keySet(ctx.body, plan);
      if (ctx.path === '/token/introspection' && plan.introspection) ctx.body = edited(ctx.body, plan.introspection);
      if (ctx.path === '/me' && plan.userinfo) ctx.body = edited(ctx.body, plan.userinfo);
    } catch (error) {
      // Told apart from every refusal that a plan can earn, and no client tries again.
      ctx.status = 400;
      ctx.body = { error: 'invalid_plan', error_description: error.message };
    }
  }

  #plan() {
    const text = textOf(this.#file);
    if (text !== this.#text) this.#keySetsGiven = 0;
    this.#text = text;
    return onlyKnown(JSON.parse(text), PLAN);
  }

  #keySet(real, { keys, keys_later: later }) {
    this.#keySetsGiven += 1;
    const chosen = this.#keySetsGiven > 1 && later ? later : keys;
    return chosen ? { keys: chosen.map(keySetEntry) } : real;
  }
}

function keySetEntry({ key, ...otherwise }) {
  const jwk = { ...jwkOf(key), ...otherwise };
  return Object.fromEntries(Object.entries(jwk).filter(([, value]) => value !== null));
}

function tokenAnswer(real, plan, origin) {
  const answer = { ...real };
  if (plan.id_token) answer.id_token = resigned(real.id_token, plan.id_token, origin);
  if (plan.swap) answer.id_token = real.access_token;
  return plan.token_answer ? edited(answer, plan.token_answer) : answer;
}

function resigned(token, plan, origin) {
  onlyKnown(plan, ['header', 'payload', 'key', 'signature', 'lures']);
  const { key = SIGNING, signature = 'right', lures = [] } = plan;
  const [realHeader, realPayload, realSignature] = token.split('.');
  const baits = Object.fromEntries(lures.map((name) => [name, LURES[name](origin)]));
  const header = edited({ ...parsed(realHeader), ...baits }, plan.header);
  const signed = `${encoded(header)}.${encoded(edited(parsed(realPayload), plan.payload))}`;
  return `${signed}.${SIGNATURES[signature](() => signatureOf(signed, JSON.parse(header).alg, key), realSignature)}`;
}

const SIGNATURES = {
  right: (make) => encoded(make()),
  none: () => '',
  kept: (_make, real) => real,
  short: (make) => encoded(make().subarray(0, 128)),
  changed: (make) => {
    const bytes = make();
    bytes[0] ^= 1;
    return encoded(bytes);
  },
};

const LURES = {
  jku: (origin) => origin + ATTACKERS_KEYS,
  x5u: (origin) => origin + ATTACKERS_CHAIN,
  jwk: () => jwkOf('attacker'),
  x5c: () => [keyPair('attacker').certificate.raw.toString('base64')],
};

function signatureOf(text, alg, name) {
  const { privateKey: key } = keyPair(name);
  const bits = alg.slice(2);
  if (/^HS/.test(alg)) return createHmac(`sha${bits}`, key).update(text).digest();
  if (alg === 'EdDSA') return sign(null, text, key);
  if (/^PS/.test(alg)) {
    const padding = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
    return sign(`sha${bits}`, text, { key, ...padding });
  }
  // dsaEncoding is for EC keys alone: a row may cross alg and key on purpose.
  return sign(`sha${bits}`, text, { key, dsaEncoding: 'ieee-p1363' });
}

/** The JSON text of an object after an edit. */
function edited(object, edit = {}) {
  onlyKnown(edit, EDIT);
  const { set = {}, without = [], times = {}, raw = [], text } = edit;
  if (text !== undefined) return text;
  const now = Math.floor(Date.now() / 1000);
  const dates = Object.fromEntries(Object.entries(times).map(([name, seconds]) => [name, now + seconds]));
  const members = Object.entries({ ...object, ...set, ...dates })
    .filter(([name, value]) => !without.includes(name) && value !== undefined)
    .map(([name, value]) => [name, JSON.stringify(value)]);
  return `{${[...members, ...raw].map(([name, json]) => `${JSON.stringify(name)}:${json}`).join(',')}}`;
}

const parsed = (segment) => JSON.parse(Buffer.from(segment, 'base64url'));
const encoded = (bytes) => Buffer.from(bytes).toString('base64url');

function onlyKnown(object, known) {
  const odd = Object.keys(object).filter((name) => !known.includes(name));
  if (odd.length > 0) throw new Error(`a plan knows no ${odd.join(', ')}`);
  return object;
}

function textOf(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return '{}';
    throw error;
  }
}
