// Microsoft Graph as far as a login asks it: the groups of whoever signed in, page by page.

import { randomUUID } from 'node:crypto';

import { sendJson } from './json.mjs';

export const MEMBERSHIPS = '/v1.0/me/transitiveMemberOf';

const MOST_PER_PAGE = 999;

/** GET /v1.0/me/transitiveMemberOf?$select=id&$top=… */
export function memberships({ base, grants, settings }, { request, response }) {
  const grant = bearer(grants, request);
  const wishes = settings.graph();
  if (!grant || wishes.reject_token) return refuse(response, 401, 'InvalidAuthenticationToken', 'Access token validation failure.');
  if (wishes.denied) {
    return refuse(response, 403, 'Authorization_RequestDenied', 'Insufficient privileges to complete the operation.');
  }
  const { searchParams } = new URL(request.url, base);
  const page = pageOf(objectsOf(grant.person), searchParams, wishes);
  if (mustWait(grant, page.number, wishes)) {
    const headers = { 'retry-after': String(wishes.throttle.retry_after) };
    return refuse(response, 429, 'TooManyRequests', 'Too many requests.', headers);
  }
  return sendJson(response, 200, pageBody(base, page, searchParams, wishes));
}

/** OpenID Connect's userinfo, which Entra has Graph answer. */
export function userinfo({ grants }, { request, response }) {
  const grant = bearer(grants, request);
  if (!grant) return refuse(response, 401, 'InvalidAuthenticationToken', 'Access token validation failure.');
  const { oid, name, preferred_username: email } = grant.person;
  return sendJson(response, 200, { sub: oid, name, email });
}

function bearer(grants, { headers: { authorization = '' } }) {
  const [scheme, token] = authorization.split(' ');
  return scheme === 'Bearer' ? grants.withToken(token) : undefined;
}

// Roles come first and a unit in the middle: whoever takes every object for a group takes these too.
function objectsOf({ memberships: groups = [], roles = [], units = [] }) {
  const half = Math.ceil(groups.length / 2);
  const all = { group: groups.slice(0, half), administrativeUnit: units };
  return [
    ...objects('directoryRole', roles),
    ...objects('group', all.group),
    ...objects('administrativeUnit', all.administrativeUnit),
    ...objects('group', groups.slice(half)),
  ];
}

function objects(type, ids) {
  return ids.map((id) => ({ '@odata.type': `#microsoft.graph.${type}`, id }));
}

function pageOf(all, wanted, { page_size: pageSize }) {
  const size = Math.min(Number(wanted.get('$top')) || MOST_PER_PAGE, pageSize);
  const start = Number(Buffer.from(wanted.get('$skiptoken') ?? '', 'base64url').toString()) || 0;
  const end = start + size;
  return { number: start / size + 1, objects: all.slice(start, end), next: end < all.length ? end : undefined };
}

function mustWait(grant, number, { throttle }) {
  if (!throttle || throttle.page !== number || grant.throttled >= throttle.times) return false;
  grant.throttled += 1;
  return true;
}

function pageBody(base, { objects: value, next }, wanted, { next_origin: origin = base, endless }) {
  const body = { '@odata.context': `${base}/v1.0/$metadata#directoryObjects(id)`, value };
  const start = next ?? (endless ? 0 : undefined);
  if (start !== undefined) {
    const token = Buffer.from(String(start)).toString('base64url');
    const top = wanted.get('$top') ?? MOST_PER_PAGE;
    body['@odata.nextLink'] = `${origin}${MEMBERSHIPS}?$select=id&$top=${top}&$skiptoken=${token}`;
  }
  return body;
}

function refuse(response, status, code, message, headers) {
  const id = randomUUID();
  const date = new Date().toISOString().slice(0, 19);
  const innerError = { date, 'request-id': id, 'client-request-id': id };
  sendJson(response, status, { error: { code, message, innerError } }, headers);
}
