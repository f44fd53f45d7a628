// The id_token of a person, in the form of v2.0 or of v1.0.

import { createHash, randomBytes } from 'node:crypto';

import { guid } from './directory.mjs';

const BACK_DATED = 300; // seconds: Entra's tokens begin five minutes ago
const LIFETIME = 3900; // seconds from that beginning

// More groups than this do not fit into a token, and it says where to ask for them.
const MOST_GROUPS = 200;

export function idTokenClaims(base, application, person) {
  const all = {
    ...standard(application, person),
    ...(person.version === '1.0' ? versionOne(person) : versionTwo(base, person)),
    ...groups(person),
    ...guest(person),
    ...person.claims,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== null));
}

function standard(application, { tid, oid, name }) {
  const iat = Math.floor(Date.now() / 1000) - BACK_DATED;
  return {
    aud: application.id,
    iat,
    nbf: iat,
    exp: iat + LIFETIME,
    name,
    oid,
    tid,
    // Pairwise: another application sees another subject for the same person.
    sub: createHash('sha256').update(`${application.id} ${oid} ${tid}`).digest('base64url'),
    rh: `1.${randomBytes(30).toString('base64url')}.`,
    uti: randomBytes(16).toString('base64url'),
  };
}

function versionOne({ tid, preferred_username: name }) {
  return { iss: `https://sts.windows.net/${tid}/`, upn: name, unique_name: name, ver: '1.0' };
}

function versionTwo(base, { tid, preferred_username: name }) {
  return { iss: `${base}/${tid}/v2.0`, preferred_username: name, ver: '2.0' };
}

function groups({ tid, oid, memberships, overage }) {
  if (memberships === undefined) return {};
  if (overage === 'hasgroups') return { hasgroups: true };
  if (overage !== 'claim_names' && memberships.length <= MOST_GROUPS) return { groups: memberships };
  const endpoint = `https://graph.windows.net/${tid}/users/${oid}/getMemberObjects`;
  return { _claim_names: { groups: 'src1' }, _claim_sources: { src1: { endpoint } } };
}

function guest({ guest: form, preferred_username: name, domain }) {
  if (form === 'idp') return { idp: `https://sts.windows.net/${guid('the home of guests')}/` };
  if (form === 'acct') return { acct: 1 };
  if (form === 'ext') return { upn: `${name.replace('@', '_')}#EXT#@${domain}` };
  return {};
}
