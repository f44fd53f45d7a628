// Tenants, applications and people. Every name signs in with every password; what a tenant knows of a
// name comes from accounts.json, read anew each time. Every field is optional:
//
//   {"ann@contoso.test": {
//      "tenant": "contoso",          whose account it is; without it the tenant of the name's domain
//      "oid": GUID, "name": "Ann", "preferred_username": "ann@contoso.test",
//      "groups": [GUID, …],          without groups and group_count there is no claim of groups
//      "group_count": 250,           made-up groups before those of "groups", so many in all
//      "overage": "claim_names" | "hasgroups",   how too many groups are said; for more than 200 always
//      "roles": [GUID], "units": [GUID],         other objects that Graph lists among the groups
//      "guest": "idp" | "acct" | "ext",          how a guest is told from a member
//      "version": "1.0",             form of the id_token
//      "claims": {"aud": "other"},   replaces any claim of the id_token; null removes it
//      "signing_key": "next" | "consumer" | "unpublished",
//      "refusal": 53003}}            AADSTS number at the token endpoint after the approval

import { createHash } from 'node:crypto';

import { readJson } from './json.mjs';

export const CONSUMERS = '9188040d-6c67-4c5b-b112-36a304b66dad';

const TENANTS = [
  { name: 'contoso', id: '4e0a3c52-7d1b-4c59-9b0e-6a1f0c2d3e41', domains: ['contoso.test', 'contoso.onmicrosoft.test'] },
  { name: 'fabrikam', id: '8b7d61f0-2f3e-4a6c-8d5b-1c9e7f4a2b63', domains: ['fabrikam.test'] },
  { name: 'tailspin', id: 'c3f5e9a4-5b6d-4f70-a1c2-d3e4f5a6b7c8', domains: ['tailspin.test'] },
];

// Every tenant has taken both applications in. A public one proves nothing about itself.
const APPLICATIONS = [
  { id: '11112222-aaaa-4bbb-8ccc-333344445555', name: 'Linux login' },
  { id: '66667777-dddd-4eee-8fff-888899990000', name: 'Linux login with a secret', secret: 'entra-test-secret' },
];

// What a tenant lets sign in, by the words that stand in the place of a tenant.
const MANY = ['common', 'organizations'];

export class Directory {
  #file;

  constructor(file) {
    this.#file = file;
  }

  /** {id, isMany} for the tenant part of an address, or undefined: GUID, domain, common, organizations. */
  realm(segment) {
    const wanted = decodeURIComponent(segment).toLowerCase();
    if (MANY.includes(wanted)) return { id: wanted, isMany: true };
    const tenant = TENANTS.find(({ id, domains }) => id === wanted || domains.includes(wanted));
    return tenant && { id: tenant.id, isMany: false };
  }

  application(id) {
    return APPLICATIONS.find((application) => application.id === id);
  }

  /** A login name as a person of a tenant, or undefined where no tenant of the realm has it. */
  person(login, realm) {
    const table = readJson(this.#file);
    const entry = Object.hasOwn(table, login) ? table[login] : {};
    const tenant = tenantOf(login, entry);
    if (!tenant || (!realm.isMany && realm.id !== tenant.id)) return undefined;
    return {
      preferred_username: login,
      name: login.split('@')[0],
      oid: guid(`object ${login} of ${tenant.id}`),
      version: '2.0',
      claims: {},
      ...entry,
      tid: tenant.id,
      domain: tenant.domains[0],
      memberships: memberships(entry),
    };
  }
}

function tenantOf(login, entry) {
  const domain = login.split('@')[1];
  return TENANTS.find(({ name, domains }) => (entry.tenant ? name === entry.tenant : domains.includes(domain)));
}

// undefined: the application is not set up to be told groups.
function memberships({ groups, group_count: count }) {
  if (groups === undefined && count === undefined) return undefined;
  const known = groups ?? [];
  const others = Math.max(0, (count ?? 0) - known.length);
  return [...Array.from({ length: others }, (_, n) => guid(`group ${n}`)), ...known];
}

/** A GUID of version 4 that is always the same for the same text. */
export function guid(text) {
  const hex = createHash('sha256').update(text).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
