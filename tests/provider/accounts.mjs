// The people of the test provider. Every name signs in with every password; what the provider says
// about a name comes from accounts.json, read anew each time so that a test can edit it:
//
//   {"ann": {"groups": ["3f1c-staff"], "preferred_username": "ann", "email": "ann@example.test", "sub": "…"}}
//
// Every field is optional; null means that the provider sends no such claim.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

export class Accounts {
  #file;

  #loginBySubject = new Map();

  constructor(file) {
    this.#file = file;
  }

  /** Signs a login name in and returns its subject. */
  signIn(login) {
    const subject = this.#entry(login).sub ?? subjectOf(login);
    this.#loginBySubject.set(subject, login);
    return subject;
  }

  /** All claims about a subject, or undefined for one that never signed in here. */
  claimsOf(subject) {
    const login = this.#loginBySubject.get(subject);
    if (login === undefined) return undefined;
    const defaults = {
      preferred_username: login,
      name: login,
      email: login.includes('@') ? login : `${login}@example.test`,
      groups: [],
    };
    return withoutNulls({ ...defaults, ...this.#entry(login), sub: subject });
  }

  #entry(login) {
    const table = this.#table();
    return Object.hasOwn(table, login) ? table[login] : {};
  }

  #table() {
    try {
      return JSON.parse(readFileSync(this.#file, 'utf8'));
    } catch (error) {
      if (error.code === 'ENOENT') return {};
      throw error;
    }
  }
}

// Opaque, as with real providers: code that takes the subject for a name must fail here.
function subjectOf(login) {
  return createHash('sha256').update(`subject of ${login}`).digest('hex').slice(0, 32);
}

function withoutNulls(claims) {
  return Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== null));
}
