// Device codes and what became of them, and the access tokens that Graph accepts.

import { randomBytes, randomInt } from 'node:crypto';

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ23456789';

export class Grants {
  #byDevice = new Map();

  #byToken = new Map();

  /** interval and ttl are seconds. */
  constructor({ interval, ttl }) {
    this.interval = interval;
    this.ttl = ttl;
  }

  open({ application, realm, scopes }) {
    const grant = {
      application,
      realm,
      scopes,
      userCode: Array.from({ length: 9 }, () => LETTERS[randomInt(LETTERS.length)]).join(''),
      deviceCode: `GAQABAAEAAAD${randomBytes(150).toString('base64url')}`,
      expires: Date.now() + this.ttl * 1000,
      state: 'pending',
      person: undefined,
      throttled: 0,
    };
    this.#byDevice.set(grant.deviceCode, grant);
    return grant;
  }

  withDeviceCode(code) {
    return this.#byDevice.get(code);
  }

  /** The pending grant of a code as typed. */
  withUserCode(code) {
    const typed = (code ?? '').trim().toUpperCase();
    return [...this.#byDevice.values()].find(({ userCode, state }) => userCode === typed && state === 'pending');
  }

  redeem(grant, accessToken) {
    grant.state = 'redeemed';
    this.#byToken.set(accessToken, grant);
  }

  withToken(token) {
    return this.#byToken.get(token);
  }
}
